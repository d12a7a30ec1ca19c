//! Which keys of a map an object takes: `include` and `exclude`.

use crate::glob::{BadGlob, Glob};

/// The keys that an object takes. Without patterns it takes all.
#[derive(Debug, Default)]
pub struct KeyFilter {
    include: Option<Vec<KeyPattern>>,
    exclude: Vec<KeyPattern>,
}

/// A pattern of keys.
#[derive(Debug)]
struct KeyPattern {
    glob: Glob,
    /// Whether it can match one key only: itself.
    is_literal: bool,
}

impl KeyFilter {
    /// Parses the patterns of `include`, of `exclude`, or of both.
    ///
    /// # Errors
    /// [`BadGlob`] with the field's name.
    pub(crate) fn parse(
        include: Option<&[String]>,
        exclude: Option<&[String]>,
    ) -> Result<Self, (&'static str, BadGlob)> {
        let parsed = |field, texts: &[String]| {
            texts
                .iter()
                .map(|text| KeyPattern::parse(text))
                .collect::<Result<_, _>>()
                .map_err(|bad| (field, bad))
        };
        Ok(Self {
            include: include.map(|texts| parsed("include", texts)).transpose()?,
            exclude: exclude.map(|texts| parsed("exclude", texts)).transpose()?.unwrap_or_default(),
        })
    }

    /// Returns whether a key is taken: no pattern of `exclude` matches it, and one of `include` does
    /// if there is an `include`.
    #[must_use]
    pub fn takes(&self, key: &str) -> bool {
        let matches = |patterns: &[KeyPattern]| patterns.iter().any(|pattern| pattern.matches(key));
        !matches(&self.exclude) && self.include.as_deref().is_none_or(matches)
    }

    /// Returns whether there are no patterns.
    #[must_use]
    pub fn takes_all(&self) -> bool {
        self.include.is_none() && self.exclude.is_empty()
    }

    /// Returns the keys of `include` that have to be there: those without a wildcard that `exclude`
    /// does not take out again.
    pub fn needed(&self) -> impl Iterator<Item = &str> {
        let literal = self.include.iter().flatten().filter(|pattern| pattern.is_literal);
        let taken = |key: &&str| !self.exclude.iter().any(|pattern| pattern.matches(key));
        literal.map(|pattern| pattern.glob.as_str()).filter(taken)
    }

    /// Returns whether all keys that can be taken are known beforehand: those of [`Self::needed`].
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.include.as_ref().is_some_and(|patterns| patterns.iter().all(|pattern| pattern.is_literal))
    }

    /// Returns the number of patterns.
    pub(crate) fn len(&self) -> usize {
        self.exclude.len() + self.include.as_ref().map_or(0, Vec::len)
    }

    /// Returns about how many steps it takes to try a key.
    pub(crate) fn steps(&self, key: &str) -> usize {
        let patterns = self.exclude.iter().chain(self.include.iter().flatten());
        patterns
            .map(|pattern| if pattern.is_literal { 1 } else { pattern.glob.as_str().len() * key.len() })
            .sum()
    }
}

impl KeyPattern {
    fn parse(text: &str) -> Result<Self, BadGlob> {
        let is_literal = !text.contains(['*', '?', '[']);
        Ok(Self { glob: Glob::parse(text)?, is_literal })
    }

    fn matches(&self, key: &str) -> bool {
        if self.is_literal { self.glob.as_str() == key } else { self.glob.matches(key) }
    }
}

#[cfg(test)]
mod tests {
    use super::KeyFilter;

    fn filter(include: Option<&[&str]>, exclude: Option<&[&str]>) -> KeyFilter {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let (include, exclude) = (include.map(owned), exclude.map(owned));
        KeyFilter::parse(include.as_deref(), exclude.as_deref()).expect("patterns")
    }

    #[test]
    fn exclude_comes_first() {
        let all = filter(None, None);
        assert!(all.takes("a") && all.takes("") && !all.is_literal());
        let without = filter(None, Some(&["_*", "tmp"]));
        assert!(without.takes("a") && !without.takes("_a") && !without.takes("tmp"));
        let both = filter(Some(&["db_*", "user"]), Some(&["db_old*"]));
        assert!(both.takes("db_host") && both.takes("user"));
        assert!(!both.takes("db_old_host") && !both.takes("other"));
        assert!(!filter(Some(&[]), None).takes("a"), "an empty list takes nothing");
    }

    #[test]
    fn keys_without_wildcard_are_needed() {
        let keys = filter(Some(&["user", "pass?", "old"]), Some(&["o*"]));
        assert_eq!(keys.needed().collect::<Vec<_>>(), ["user"]);
        assert!(!keys.is_literal());
        assert!(filter(Some(&["user", "x"]), None).is_literal());
    }

    #[test]
    fn a_pattern_that_is_none_names_its_field() {
        let bad = ["[a".to_owned()];
        assert_eq!(KeyFilter::parse(Some(&bad), None).expect_err("no pattern").0, "include");
        assert_eq!(KeyFilter::parse(None, Some(&bad)).expect_err("no pattern").0, "exclude");
    }
}
