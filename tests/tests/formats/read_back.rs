//! Random secrets, rendered by `coffer-csi` and read back.

use std::fs;
use std::path::PathBuf;

use coffer_tests::Suite;

use crate::rendered::RenderedSamples;
use crate::sample::{Sample, SampleMap};
use crate::tools::{
    Pairs, no_java, no_pyyaml, no_systemd, read_environment_file, read_properties, read_variables, read_yaml,
};
use crate::value::{FoundValue, is_text_of};

pub(crate) fn tests(suite: Suite<RenderedSamples>) -> Suite<RenderedSamples> {
    suite
        .test("json_is_read_back", |all| async move {
            for (name, map) in &all.maps {
                let found = serde_json::from_str(&all.file(name, "json")).unwrap();
                assert_same(name, &found, map, |_| false);
            }
        })
        .test("yaml_1_2_is_read_back", |all| async move {
            for (name, map) in &all.maps {
                let text = all.file(name, "yaml");
                let found = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
                assert_same(name, &found, map, |_| false);
            }
        })
        .test("sourced_files_set_the_same_variables_in_each_shell", |all| async move {
            for format in ["dotenv", "shell"] {
                let file = |(name, _): &(String, _)| all.folder().join(format!("{name}.{format}"));
                let files: Vec<PathBuf> = all.variables.iter().map(file).collect();
                for shell in ["dash", "bash"] {
                    let found = read_variables(shell, format, &files);
                    for ((name, map), found) in all.variables.iter().zip(found) {
                        assert_pairs(&format!("{shell} {name}.{format}"), &found, map);
                    }
                }
            }
        })
        .test("each_key_is_a_file_with_its_value", |all| async move {
            for (name, map) in &all.variables {
                let found = fs::read_dir(all.folder().join(name)).into_iter().flatten().map(|entry| {
                    let path = entry.unwrap().path();
                    let key = path.file_name().unwrap().to_str().unwrap().to_owned();
                    (key, fs::read_to_string(&path).unwrap())
                });
                assert_pairs(name, &found.collect(), map);
            }
        })
        .skipped_where(no_pyyaml())
        .test("yaml_1_1_is_read_back", |all| async move {
            // one loader is written in Python, and one is libyaml
            for loader in ["SafeLoader", "CSafeLoader"] {
                let mut found = read_yaml(all.folder(), loader);
                for (name, map) in &all.maps {
                    assert_same(
                        &format!("{loader} {name}"),
                        &found.remove(name).unwrap(),
                        map,
                        is_text_in_yaml_1_1,
                    );
                }
            }
        })
        .skipped_where(no_java())
        .test("properties_are_read_back", |all| async move {
            let mut found = read_properties(all.folder());
            for (name, map) in &all.maps {
                for way in ["stream", "reader"] {
                    let found = found.remove(&(name.clone(), way.to_owned())).unwrap_or_default();
                    assert_pairs(&format!("{way} {name}"), &found, map);
                }
            }
        })
        .skipped_where(no_systemd())
        .test("systemd_reads_dotenv_as_a_shell_does", |all| async move {
            let mut compared = 0;
            for (name, map) in all.variables.iter().filter(|(_, map)| systemd_takes(map)) {
                let text = all.file(name, "dotenv").replace('$', "$$");
                let mut found = read_environment_file(&text);
                found.retain(|variable, _| map.contains_key(variable));
                assert_pairs(name, &found, map);
                compared += map.len();
            }
            assert!(compared > 100, "{compared}");
        })
}

/// Returns whether YAML 1.1 reads a JSON number as a text: with an exponent it wants a dot and a
/// sign (<https://yaml.org/type/float.html>).
fn is_text_in_yaml_1_1(digits: &str) -> bool {
    let has_sign =
        digits.contains("e+") || digits.contains("e-") || digits.contains("E+") || digits.contains("E-");
    digits.contains(['e', 'E']) && !(digits.contains('.') && has_sign)
}

/// Returns whether systemd takes all values: it refuses control characters, and characters that
/// Unicode reserves for no use
/// (`env_value_is_valid` in <https://github.com/systemd/systemd/blob/v252/src/basic/env-util.c>,
/// `unichar_is_valid` in <https://github.com/systemd/systemd/blob/v252/src/basic/utf8.c>). The
/// generator ignores empty ones.
fn systemd_takes(map: &SampleMap) -> bool {
    let is_taken = |c: char| {
        (!c.is_ascii_control() || matches!(c, '\t' | '\n'))
            && !matches!(c as u32, 0xfdd0..=0xfdef)
            && (c as u32) & 0xfffe != 0xfffe
    };
    map.values().all(|value| value.json().chars().all(is_taken) && is_taken_text(value, is_taken))
}

fn is_taken_text(value: &Sample, is_taken: impl Fn(char) -> bool) -> bool {
    match value {
        Sample::Text(text) => !text.is_empty() && text.chars().all(is_taken),
        _ => true,
    }
}

fn assert_same(name: &str, found: &FoundValue, map: &SampleMap, is_text: fn(&str) -> bool) {
    let map = Sample::Map(map.clone());
    assert!(found.is(&map, is_text), "{name}: {}\nwas read as {found:?}", map.json());
}

/// Fails if the pairs are not the keys of a map with their values as text; a key whose value is
/// `null` is not there.
fn assert_pairs(name: &str, found: &Pairs, map: &SampleMap) {
    let there: Vec<_> = map.iter().filter(|(_, value)| !matches!(value, Sample::Null)).collect();
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        there.iter().map(|(key, _)| *key).collect::<Vec<_>>(),
        "{name}"
    );
    for (key, value) in there {
        assert!(is_text_of(&found[key], value), "{name}: {key:?}: {value:?} was read as {:?}", found[key]);
    }
}
