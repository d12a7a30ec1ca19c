//! Finds the part of an answer's data that an object names by `secretKey` and `jsonPointer`.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use coffer_vault::json::{JsonText, JsonValue};

use super::{Parsed, missing};
use crate::class::{JsonPointer, Part, array_index};
use crate::{Error, ErrorKind};

/// What all files of one read may take together, besides their contents.
pub(crate) struct FilesBudget {
    /// Steps left: one for each member of a map that is looked at, and one for each 8 bytes of its
    /// key.
    steps: Cell<usize>,
    /// Steps left for templates.
    template_steps: Cell<usize>,
    /// Bytes left for texts in [`Self::nested`] and their indexes.
    nested_bytes: Cell<usize>,
    /// Strings that were parsed as JSON, by the place of the string in memory: each is parsed once,
    /// however many objects point into it.
    nested: RefCell<HashMap<usize, Rc<JsonText>>>,
}

/// Steps for all templates of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TemplateSteps {
    /// So few that the event loop does not wait for them: about a millisecond.
    Few = 10_000,
    /// As many as a read may take, beside the event loop.
    All = 2_000_000,
}

/// Steps for all files of a read, which take less than half a second.
const STEPS: usize = 20 << 20;

impl FilesBudget {
    /// Returns the budget of a read whose files have at most `limit` bytes.
    pub(crate) fn new(limit: usize, template_steps: TemplateSteps) -> Self {
        Self {
            steps: Cell::new(STEPS),
            template_steps: Cell::new(template_steps as usize),
            nested_bytes: Cell::new(limit.saturating_mul(2)),
            nested: RefCell::default(),
        }
    }

    /// Returns how many steps are left for templates.
    pub(crate) fn template_steps(&self) -> usize {
        self.template_steps.get()
    }

    /// Takes the steps of a template, as far as there are some left.
    pub(super) fn count_template_steps(&self, steps: usize) {
        self.template_steps.set(self.template_steps.get().saturating_sub(steps));
    }

    /// Takes steps.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`], if too few are left.
    pub(super) fn spend(&self, steps: usize) -> Result<(), Error> {
        match self.steps.get().checked_sub(steps) {
            Some(left) => {
                self.steps.set(left);
                Ok(())
            }
            None => {
                Err(Error::new(ErrorKind::TooLarge, "the objects look at too many keys of too large secrets")
                    .with_advice(
                        "Use fewer objects with jsonPointer, include and exclude, or split the secret",
                    ))
            }
        }
    }

    /// Takes the steps for looking at one member of a map.
    pub(super) fn spend_on_key(&self, key: &str) -> Result<(), Error> {
        self.spend(1 + key.len() / 8)
    }

    /// Takes the steps for sorting the members of a map, which were looked at.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`], if too few are left.
    pub(super) fn spend_on_sorting(&self, members: usize) -> Result<(), Error> {
        self.spend(members * members.checked_ilog2().unwrap_or_default() as usize)
    }

    /// Returns a string parsed as JSON; none if the value is no string, or the string no JSON.
    fn nested(&self, value: JsonValue<'_>) -> Result<Option<Rc<JsonText>>, Error> {
        if !value.is_string() {
            return Ok(None);
        }
        let place = value.place();
        if let Some(known) = self.nested.borrow().get(&place) {
            return Ok(Some(Rc::clone(known)));
        }
        let too_large = || {
            Error::new(ErrorKind::TooLarge, "the strings that hold JSON are too large to look into")
                .with_advice("Split the secret")
        };
        let left = self.nested_bytes.get();
        let text = value.string().filter(|text| text.len() <= left).ok_or_else(too_large)?;
        let Some(parsed) = JsonText::parse(text).map(Rc::new) else { return Ok(None) };
        self.nested_bytes.set(left.checked_sub(parsed.bytes()).ok_or_else(too_large)?);
        self.nested.borrow_mut().insert(place, Rc::clone(&parsed));
        Ok(Some(parsed))
    }
}

/// Calls `then` with the part of an answer, and returns its result.
///
/// # Errors
/// [`ErrorKind::NotFound`], if the part is not there; [`ErrorKind::BadAnswer`], if a pointer leads
/// through a string that is no JSON; and those of `then`.
pub(super) fn with_part<R>(
    parsed: &Parsed<'_>,
    part: &Part,
    budget: &FilesBudget,
    then: &mut dyn FnMut(JsonValue<'_>) -> Result<R, Error>,
) -> Result<R, Error> {
    let value = match &part.key {
        Some(key) => parsed.select(key).filter(|value| !value.is_null()).ok_or_else(|| missing(key))?,
        None => parsed
            .secret_data()
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "Vault's answer holds no data"))?,
    };
    match &part.pointer {
        Some(pointer) => {
            let steps: Vec<_> = pointer.steps().collect();
            Walk { pointer, budget }.go(value, "", &steps, then)
        }
        None => then(value),
    }
}

/// Calls `then` with a map: the value itself, or the map that a string holds as JSON.
///
/// # Errors
/// [`ErrorKind::BadAnswer`], if there is no map; and those of `then`.
pub(super) fn with_map<R>(
    value: JsonValue<'_>,
    budget: &FilesBudget,
    then: &mut dyn FnMut(JsonValue<'_>) -> Result<R, Error>,
) -> Result<R, Error> {
    if value.is_object() {
        return then(value);
    }
    let nested = budget.nested(value)?;
    match nested.as_ref().map(|nested| nested.root()).filter(|root| root.is_object()) {
        Some(map) => then(map),
        None => Err(Error::new(
            ErrorKind::BadAnswer,
            format!("the data is {}, and the format needs a map of keys and values", kind(value)),
        )
        .with_advice("Check secretKey, jsonPointer and format")),
    }
}

/// Follows a pointer.
struct Walk<'a> {
    pointer: &'a JsonPointer,
    budget: &'a FilesBudget,
}

impl Walk<'_> {
    /// Calls `then` with what is below a value. `at` is the pointer to the value, `steps` has the
    /// steps below it, each with the pointer up to it.
    fn go<R>(
        &self,
        value: JsonValue<'_>,
        at: &str,
        steps: &[(Cow<'_, str>, &str)],
        then: &mut dyn FnMut(JsonValue<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let Some(((step, below), rest)) = steps.split_first() else {
            return if value.is_null() { Err(self.nothing_at(at)) } else { then(value) };
        };
        if value.is_string() {
            let Some(nested) = self.budget.nested(value)? else {
                let message = format!("jsonPointer {}: at {at:?} is a string that is no JSON", self.pointer);
                return Err(Error::new(ErrorKind::BadAnswer, message).with_advice("Check jsonPointer"));
            };
            return self.go(nested.root(), at, steps, then);
        }
        let child = if value.is_array() { self.item(value, step)? } else { self.member(value, step)? };
        self.go(child.ok_or_else(|| self.nothing_at(below))?, below, rest, then)
    }

    /// Returns the item with an index.
    fn item<'b>(&self, list: JsonValue<'b>, step: &str) -> Result<Option<JsonValue<'b>>, Error> {
        let Some(index) = array_index(step) else { return Ok(None) };
        for (n, item) in list.items().enumerate() {
            self.budget.spend(1)?;
            if n == index {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// Returns the last member with a key.
    fn member<'b>(&self, value: JsonValue<'b>, key: &str) -> Result<Option<JsonValue<'b>>, Error> {
        let mut found = None;
        for (name, member) in value.members() {
            self.budget.spend_on_key(&name)?;
            if name == key {
                found = Some(member);
            }
        }
        Ok(found)
    }

    fn nothing_at(&self, at: &str) -> Error {
        let message = format!("jsonPointer {}: there is nothing at {at:?}", self.pointer);
        Error::new(ErrorKind::NotFound, message).with_advice("Check jsonPointer")
    }
}

fn kind(value: JsonValue<'_>) -> &'static str {
    match value {
        value if value.is_object() => "a map",
        value if value.is_array() => "a list",
        value if value.is_string() => "a string",
        value if value.is_null() => "null",
        _ => "a number or boolean",
    }
}
