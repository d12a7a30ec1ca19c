//! Builds the images from the static binaries in `target/image`, and writes them there as OCI
//! archives, with one index for all architectures: `cargo xtask image`. Its arguments are
//! `DIRECTORY ARCHITECTURE... [--same-as DIRECTORY]`; the last is that of a second build.

use std::path::{Path, PathBuf};

use coffer_tests::{IMAGES, ImageStore, Images};

/// The largest size of an image, in bytes.
const MOST: u64 = 10_000_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let place: PathBuf = arguments.next().expect("the directory target/image").into();
    let architectures: Vec<String> = arguments.by_ref().take_while(|one| one != "--same-as").collect();
    let second = arguments.next().map(PathBuf::from);

    let digests = build(&place, &architectures);
    if let Some(second) = second {
        assert_eq!(digests, build(&second, &architectures), "two builds give different images");
        println!("a second build gave the same digests");
    }
}

/// Builds the images and writes their indexes. Returns the digests, each with what has it.
fn build(place: &Path, architectures: &[String]) -> Vec<(String, String)> {
    let store = ImageStore::new();
    let images: Vec<Images> = architectures.iter().map(|name| Images::shipped(&store, place, name)).collect();
    let mut digests = Vec::new();
    for name in IMAGES {
        for one in &images {
            let (architecture, size, digest) = (one.architecture(), one.size(name), one.digest(name));
            println!("{name} for {architecture}: {:.2} MB, {digest}", size as f64 / 1e6);
            assert!(size < MOST, "{name} has {size} bytes; {MOST} is the most");
            digests.push((format!("{name} for {architecture}"), digest));
        }
        let archive = place.join(format!("{name}.tar"));
        let digest = store.index(name, &images, &archive);
        println!("{name}: {digest}, {}", archive.display());
        digests.push((name.to_owned(), digest));
    }
    digests
}
