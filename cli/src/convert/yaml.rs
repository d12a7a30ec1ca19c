//! YAML as it is written: a tree that knows the bytes of every part, changes of a text that leave
//! the rest of it alone, and the values without their places.

pub(super) mod edit;
pub(super) mod source;
pub(super) mod value;
pub(super) mod write;
