//! Random secrets: what is hard to write so that every parser reads the same.

use std::collections::BTreeMap;

/// A JSON value, whose numbers have the digits that are sent to Vault.
#[derive(Clone, Debug)]
pub(crate) enum Sample {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Self>),
    Map(SampleMap),
}

pub(crate) type SampleMap = BTreeMap<String, Sample>;

impl Sample {
    /// Returns the value as JSON.
    pub(crate) fn json(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(digits) => digits.clone(),
            Self::Text(text) => serde_json::to_string(text).unwrap(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::json).collect();
                format!("[{}]", items.join(","))
            }
            Self::Map(members) => {
                let member = |(key, value): (&String, &Self)| {
                    format!("{}:{}", serde_json::to_string(key).unwrap(), value.json())
                };
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// Texts that some version of YAML, a shell, systemd or Java reads as something else.
const WORDS: [&str; 60] = [
    "",
    "yes",
    "No",
    "ON",
    "off",
    "y",
    "N",
    "true",
    "False",
    "null",
    "Null",
    "~",
    "0",
    "-0",
    "0x1F",
    "0o17",
    "017",
    "0b11",
    "1_000",
    "1e3",
    "1.5e+3",
    ".5",
    "+1",
    "-1",
    ".inf",
    "-.INF",
    ".NaN",
    "12:30:45",
    "190:20:30.5",
    "2020-01-01",
    "2020-01-01T00:00:00Z",
    "=",
    "<<",
    "-",
    "---",
    "...",
    "?",
    ":",
    "- a",
    "? a",
    "a: b",
    "a:",
    "a #b",
    "#a",
    "&a",
    "*a",
    "!a",
    "!!str a",
    "%a",
    "@a",
    "`a`",
    "|",
    ">",
    "[a]",
    "{a: b}",
    "'a'",
    "\"a\"",
    "$HOME ${HOME} $$ $(id)",
    "a\\nb\\",
    "a=b;c!d",
];

/// Characters that are more likely than others.
const SPECIAL: &str = "\"'`$\\#:;!=&*?|>%@{}[],~<^-_./ \t\n\r";

/// Characters that texts seldom hold.
const ODD: [char; 20] = [
    '\0',
    '\u{1}',
    '\u{7}',
    '\u{b}',
    '\u{c}',
    '\u{1b}',
    '\u{7f}',
    '\u{80}',
    '\u{85}',
    '\u{a0}',
    '\u{ad}',
    '\u{2028}',
    '\u{2029}',
    '\u{202e}',
    '\u{d7ff}',
    '\u{e000}',
    '\u{feff}',
    '\u{fffd}',
    '\u{1f600}',
    '\u{10fffd}',
];

/// Characters that Unicode calls noncharacters.
const NONCHARACTERS: [char; 5] = ['\u{fdd0}', '\u{fffe}', '\u{ffff}', '\u{1fffe}', '\u{10ffff}'];

const NUMBERS: [&str; 16] = [
    "0",
    "-0",
    "7",
    "-12",
    "1.50",
    "-0.0",
    "1e3",
    "1E-7",
    "1.5e3",
    "1.5e+3",
    "-2.5E-10",
    "0.1",
    "4294967296",
    "18446744073709551615",
    "-9223372036854775808",
    "123456789012345678901234567890",
];

/// A generator of samples. The same seed gives the same samples.
pub(crate) struct SampleGenerator(u64);

impl SampleGenerator {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a map with any keys and values.
    pub(crate) fn map(&mut self) -> SampleMap {
        self.map_to(3)
    }

    /// Returns a map whose keys are names of variables, and whose values hold no NUL.
    pub(crate) fn variables(&mut self) -> SampleMap {
        let mut map = SampleMap::new();
        for n in 0..self.below(8) {
            let end: String = (0..self.below(6)).map(|_| self.pick(b"azAZ09_") as char).collect();
            map.insert(format!("{}{n}_{end}", self.pick(&["KEY", "key", "_k"])), self.value(2));
        }
        map.values_mut().for_each(without_nul);
        map
    }

    fn map_to(&mut self, depth: u32) -> SampleMap {
        (0..self.below(7)).map(|_| (self.text(), self.value(depth))).collect()
    }

    fn value(&mut self, depth: u32) -> Sample {
        match self.below(if depth == 0 { 8 } else { 10 }) {
            0 => Sample::Null,
            1 => Sample::Bool(self.below(2) == 0),
            2 => Sample::Number(self.pick(&NUMBERS).to_owned()),
            8 => Sample::List((0..self.below(4)).map(|_| self.value(depth - 1)).collect()),
            9 => Sample::Map(self.map_to(depth - 1)),
            _ => Sample::Text(self.text()),
        }
    }

    fn text(&mut self) -> String {
        match self.below(40) {
            0..12 => self.pick(&WORDS).to_owned(),
            12 => self.character().to_string().repeat(self.below(20_000)),
            13 => self.pick(&["k", "k ", "k\n", "'"]).repeat(self.below(1500)),
            14 => format!(" {} ", self.pick(&WORDS)),
            _ => (0..self.below(24)).map(|_| self.character()).collect(),
        }
    }

    fn character(&mut self) -> char {
        match self.below(20) {
            0..6 => self.pick(SPECIAL.as_bytes()) as char,
            6 => self.pick(&ODD),
            7 => char::from_u32(self.below(0x11_0000) as u32).unwrap_or('é'),
            8 if self.below(4) == 0 => self.pick(&NONCHARACTERS),
            _ => (b' ' + self.below(95) as u8) as char,
        }
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// Returns a number below a bound (SplitMix64).
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

/// Takes NUL out of a text. In lists and maps it is escaped, as in all JSON.
fn without_nul(value: &mut Sample) {
    if let Sample::Text(text) = value {
        text.retain(|c| c != '\0');
    }
}
