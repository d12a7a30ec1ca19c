//! Builds the images from the static binaries in `target/image`, and writes them there as OCI
//! archives, with one index for all architectures: `cargo xtask image`. Its arguments are
//! `DIRECTORY ARCHITECTURE... [--same-as DIRECTORY]`; the last is that of a second build.

use std::path::{Path, PathBuf};

use coffer_tests::{IMAGES, ImageStore, Images, PushedImage};

/// The largest size of an image in a registry, in bytes: what a node downloads.
const MOST: u64 = 6_000_000;

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
            let (architecture, unpacked, PushedImage { digest, size }) =
                (one.architecture(), one.size(name), one.pushed(name));
            let (packed, unpacked) = (size as f64 / 1e6, unpacked as f64 / 1e6);
            println!("{name} for {architecture}: {packed:.2} MB, unpacked {unpacked:.2} MB, {digest}");
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
