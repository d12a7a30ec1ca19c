"""Prints what PyYAML reads in the files *.yaml of a directory, as one JSON object by file name."""

import json
import pathlib
import sys

import yaml

folder, loader = sys.argv[1:]
loader = getattr(yaml, loader)
files = pathlib.Path(folder).glob("*.yaml")
json.dump({file.stem: yaml.load(file.read_bytes(), loader) for file in files}, sys.stdout)
