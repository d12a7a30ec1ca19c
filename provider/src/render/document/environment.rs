//! Variables for a POSIX shell and for systemd's `EnvironmentFile=`.
//!
//! A value stands in single quotes, in which both take every character but `'` for itself
//! (<https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_02>,
//! <https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#EnvironmentFile=>).
//! A `'` stands in double quotes between two such parts. The usual `\'` between them is read by a
//! shell alone: for systemd no quotes can begin after it
//! (<https://github.com/systemd/systemd/blob/v256/src/basic/env-file.c>).

use coffer_vault::Secret;

use super::within;
use crate::go_json::TooLong;

/// Returns whether a key can be the name of a variable: `[A-Za-z_][A-Za-z0-9_]*`.
pub(super) fn is_variable_name(key: &str) -> bool {
    !key.is_empty()
        && !key.starts_with(|c: char| c.is_ascii_digit())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Appends a line that sets a variable.
///
/// # Errors
/// [`TooLong`], if `out` would have more than `limit` bytes.
pub(super) fn write_variable(
    out: &mut Secret,
    before: &str,
    name: &str,
    value: &Secret,
    limit: usize,
) -> Result<(), TooLong> {
    out.push(before.as_bytes());
    out.push(name.as_bytes());
    out.push(b"='");
    for (n, part) in value.expose().split(|b| *b == b'\'').enumerate() {
        if n > 0 {
            out.push(br#"'"'"'"#);
        }
        out.push(part);
        // quotes make a text five times as long
        within(out, limit)?;
    }
    out.push(b"'\n");
    within(out, limit)
}
