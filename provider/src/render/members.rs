//! The keys that an object takes out of a map.

use std::borrow::Cow;

use coffer_vault::json::JsonValue;

use super::missing;
use super::part::FilesBudget;
use crate::Error;
use crate::class::KeyFilter;

/// Whether a key with the value `null` is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Null {
    /// It is a value like others.
    Value,
    /// It is a missing key.
    Missing,
}

/// Returns the keys and values that `keys` takes out of a map, sorted by key.
///
/// # Errors
/// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound), if a key is missing that has to be there;
/// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge), if the budget does not suffice.
pub(super) fn members_of<'a>(
    map: JsonValue<'a>,
    keys: &KeyFilter,
    null: Null,
    budget: &FilesBudget,
) -> Result<Vec<(Cow<'a, str>, JsonValue<'a>)>, Error> {
    let mut count = 0;
    for (key, _) in map.members() {
        budget.spend_on_key(&key)?;
        budget.spend(keys.steps(&key) / 8)?;
        count += 1;
    }
    budget.spend_on_sorting(count)?;
    let mut members = map.sorted_members();
    members.retain(|(key, value)| keys.takes(key) && (null == Null::Value || !value.is_null()));
    for needed in keys.needed() {
        if members.binary_search_by(|(key, _)| key.as_ref().cmp(needed)).is_err() {
            return Err(missing(needed));
        }
    }
    Ok(members)
}
