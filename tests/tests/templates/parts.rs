//! What generated templates are made of.

pub(crate) const TEXTS: [&str; 12] =
    ["a", " ", "\n", "  \n\t", "x=", "'", "}", "{ ", "{ a", "é", "\r\n", "-"];
pub(crate) const KEYS: [&str; 36] = [
    "password", "user", "html", "empty", "space", "lines", "number", "float", "big", "tiny", "yes", "no",
    "nothing", "list", "mixed", "none", "map", "hollow", "csv", "json", "base64", "binary", "unicode",
    "date", "on", "octal", "colon", "hash", "tab", "quote", "percent", "long", "keys", "missing", "control",
    "tilde",
];
pub(crate) const TEXT_KEYS: [&str; 22] = [
    "password", "user", "html", "empty", "space", "lines", "csv", "json", "base64", "binary", "unicode",
    "date", "on", "octal", "colon", "hash", "tab", "quote", "percent", "long", "control", "tilde",
];
pub(crate) const QUOTED: [&str; 16] = [
    r#""""#,
    r#"",""#,
    r#"" ""#,
    r#""a""#,
    r#""word""#,
    r#""s3""#,
    r#""\n""#,
    r#""é""#,
    "`raw\\`",
    r#""\xff""#,
    r#""x y""#,
    r#""<b>""#,
    r#""no""#,
    r#""1.5""#,
    r#""aGk=""#,
    r#""\t a ""#,
];
/// What odd texts are made of, as it is written between quotes.
pub(crate) const ODD: [&str; 40] = [
    " ", "  ", "\\n", "\\n\\n", "\\t", "\\r", "a", "b c", "word ", ":", ": ", "#", " #", "-", "- ", "?", "'",
    "\\\"", "\\\\", "{", "}", "[", ",", "&", "*", "!", "|", ">", "%", "@", "é", "日", "😀", "\\x00", "\\x7f",
    "\\xff", "\\u0085", "\\u2028", "1", "yes",
];
pub(crate) const FORMATS: [&str; 24] = [
    "%s", "%v", "%d", "%q", "%x", "%X", "%t", "%f", "%5s|", "%-5v|", "%05d", "%+d", "%.2f", "%8.3f", "%e",
    "%g", "%T", "%%", "%c", "%s %s", "%+v", "% d", "%.1s", "%o %b",
];
pub(crate) const NUMBERS: [&str; 12] =
    ["0", "1", "2", "-1", "3", "0x10", "1.5", "1e3", "'a'", "100", "1_000", "2.0"];
