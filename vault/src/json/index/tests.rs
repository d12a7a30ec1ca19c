use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

use super::{JsonIndex, JsonIndexer, MAX_DEPTH, MAX_VALUES, NotIndexed};

/// Indexes a text that arrives in pieces of this size.
fn in_pieces(text: &[u8], size: usize) -> Result<usize, NotIndexed> {
    let mut indexer = JsonIndexer::new();
    for end in (0..text.len()).step_by(size).map(|at| (at + size).min(text.len())) {
        indexer.advance(&text[..end])?;
    }
    indexer.finish(text).map(|index| index.len())
}

#[test]
fn what_serde_json_takes_is_indexed_and_nothing_else() {
    let texts = [
        "{}",
        "[]",
        "null",
        "1",
        "-0.5e+10",
        "\"\"",
        "[1,2]",
        "{\"a\":{\"b\":[]}}",
        " [ ] ",
        "\"é\\u00e9\"",
        "",
        " ",
        "{",
        "}",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{1:2}",
        "01",
        "1.",
        "1e",
        "+1",
        "-",
        "nul",
        "truefalse",
        "\"\n\"",
        "\"\\x\"",
        "\"\\u12\"",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "[}",
        "{]",
        "1 2",
        "[1]]",
        "\"a",
        "[\"a\":1]",
        ".5",
        "1.5.5",
        "tru",
        "[true,false,null,1e5,-1]",
    ];
    for text in texts {
        let is_json = serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
        for size in [1, 2, 3, 100] {
            assert_eq!(in_pieces(text.as_bytes(), size).is_ok(), is_json, "{text:?} in {size}");
        }
    }
    assert_eq!(in_pieces(b"\"\xff\"", 1), Err(NotIndexed::NotJson));
    assert_eq!(in_pieces(b"\"\xc3", 1), Err(NotIndexed::NotJson));
}

#[test]
fn depth_and_number_of_values_are_limited() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(JsonIndex::of(nested(MAX_DEPTH).as_bytes()).is_ok());
    let deep = JsonIndex::of(nested(MAX_DEPTH + 1).as_bytes());
    assert_eq!(deep.err(), Some(NotIndexed::TooDeep));
    let many = |values: usize| format!("[{}1]", "1,".repeat(values - 2));
    assert_eq!(JsonIndex::of(many(MAX_VALUES).as_bytes()).map(|index| index.len()), Ok(MAX_VALUES));
    let more = JsonIndex::of(many(MAX_VALUES + 1).as_bytes());
    assert_eq!(more.err(), Some(NotIndexed::TooManyValues));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 512 }))]
    #[test]
    fn any_bytes_are_judged_as_serde_json_does(bytes in r#"[\[\]{},:"\\ue0-9.+a-f\n é-]{0,24}"#, size in 1_usize..5) {
        let is_json = serde_json::from_str::<&serde_json::value::RawValue>(&bytes).is_ok();
        prop_assert_eq!(in_pieces(bytes.as_bytes(), size).is_ok(), is_json);
    }

    #[test]
    fn pieces_make_no_difference(bytes in proptest::collection::vec(any::<u8>(), 0..40), size in 1_usize..5) {
        prop_assert_eq!(in_pieces(&bytes, size), in_pieces(&bytes, 100));
    }
}
