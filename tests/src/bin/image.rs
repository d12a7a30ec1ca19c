//! Builds the images from the static binaries in `target/image`, and writes them there as OCI
//! archives, with one index for all architectures: `cargo xtask image`.

use std::path::PathBuf;

use coffer_tests::{IMAGES, ImageStore, Images};

/// The largest size of an image, in bytes.
const MOST: u64 = 10_000_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let place: PathBuf = arguments.next().expect("the directory target/image").into();
    let store = ImageStore::new();
    let images: Vec<Images> = arguments.map(|name| Images::shipped(&store, &place, &name)).collect();
    for name in IMAGES {
        for one in &images {
            let size = one.size(name);
            println!("{name} for {}: {:.2} MB", one.architecture(), size as f64 / 1e6);
            assert!(size < MOST, "{name} has {size} bytes; {MOST} is the most");
        }
        let archive = place.join(format!("{name}.tar"));
        let digest = store.index(name, &images, &archive);
        println!("{name}: {digest}, {}", archive.display());
    }
}
