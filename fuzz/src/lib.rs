//! What all fuzz targets share: how an input is divided, and what an input may take.

pub mod http2;
mod input_bound;

pub use input_bound::InputBound;

/// A secret that targets plant. No output and no message may have it.
pub const PLANTED: &str = "hvs.PlantedSecret7";

/// Divides an input at each byte 0xff, which no UTF-8 text has.
pub struct Fields<'a>(std::slice::Split<'a, u8, fn(&u8) -> bool>);

impl<'a> Fields<'a> {
    /// Returns the fields of an input.
    #[must_use]
    pub fn of(data: &'a [u8]) -> Self {
        Self(data.split(|byte| *byte == 0xff))
    }

    /// Returns the bytes of the next field; nothing after the last.
    pub fn bytes(&mut self) -> &'a [u8] {
        self.0.next().unwrap_or_default()
    }

    /// Returns the next field as a text, up to the first byte that is not UTF-8.
    pub fn text(&mut self) -> &'a str {
        let bytes = self.bytes();
        match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        }
    }
}
