//! Builds the images from the static binaries in `target/image`, and writes them there as OCI
//! archives: `cargo xtask image`.

use std::path::PathBuf;

use coffer_tests::{IMAGES, Images};

/// The largest size of an image, in bytes.
const MOST: u64 = 10_000_000;

fn main() {
    let place: PathBuf = std::env::args_os().nth(1).expect("the directory target/image").into();
    let images = Images::build(Some(&place));
    for name in IMAGES {
        let archive = place.join(format!("{name}.tar"));
        let _ = std::fs::remove_file(&archive);
        images.export(name, &archive);
        let size = images.size(name);
        println!("{name}: {:.2} MB, {}", size as f64 / 1e6, archive.display());
        assert!(size < MOST, "{name} has {size} bytes; {MOST} is the most");
    }
}
