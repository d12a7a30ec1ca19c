//! Loopback ports for servers that cannot choose a port themselves.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Returns a port that was free a moment ago. The port is below the kernel's ephemeral range, so
/// that no outgoing connection takes it in between, and is never returned twice in one process. The
/// next port stays free as well: OpenBao uses it for its cluster.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 10_000;
    static GIVEN: AtomicU16 = AtomicU16::new(0);

    let start = std::process::id().wrapping_mul(97) % u32::from(COUNT);
    let start = u16::try_from(start).expect("a remainder of COUNT fits");
    for _ in 0..COUNT / 2 {
        let port = FIRST + (start + GIVEN.fetch_add(2, Ordering::Relaxed) % COUNT) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free loopback port from {FIRST} on");
}
