//! Going through lists, maps and numbers.

use coffer_vault::json::JsonHandle;

use super::Rendering;
use crate::budget::{MeteredMemory, Sink};
use crate::composite::Composite;
use crate::render_fault::RenderProblem;
use crate::value::{Bytes, JsonPart, TemplateValue, Texts, place, sorted_members};

/// The items that a range goes through.
pub(super) struct OpenItems {
    items: Items,
    next: usize,
    key: Option<u32>,
    item: Option<u32>,
}

enum Items {
    /// The whole numbers below this one.
    Count(usize),
    Texts(Texts),
    List {
        part: JsonPart,
        places: Vec<JsonHandle>,
        _memory: MeteredMemory,
    },
    Map {
        part: JsonPart,
        keys: Texts,
        places: Vec<JsonHandle>,
        _memory: MeteredMemory,
    },
}

impl Items {
    fn len(&self) -> usize {
        match self {
            Self::Count(count) => *count,
            Self::Texts(texts) => texts.len(),
            Self::List { places, .. } | Self::Map { places, .. } => places.len(),
        }
    }
}

impl Rendering<'_> {
    pub(super) fn begin_range(
        &mut self,
        key: Option<u32>,
        item: Option<u32>,
        otherwise: u32,
    ) -> Result<(), RenderProblem> {
        let value = self.pop();
        let items = match &value {
            TemplateValue::Missing | TemplateValue::NilMap { .. } => None,
            TemplateValue::Whole(_) if key.is_some() => {
                return Err(RenderProblem::Range("a number with two variables"));
            }
            TemplateValue::Whole(count) => usize::try_from(*count).ok().map(Items::Count),
            TemplateValue::Texts(texts) => Some(Items::Texts(texts.clone())),
            TemplateValue::Json(part) | TemplateValue::TextMap(part) => {
                Some(self.json_items(part, value.composite() == Some(Composite::Map))?)
            }
            value => return Err(RenderProblem::Range(value.words())),
        };
        match items.filter(|items| items.len() > 0) {
            Some(items) => self.ranges.push(OpenItems { items, next: 0, key, item }),
            None => self.next = otherwise as usize,
        }
        Ok(())
    }

    fn json_items(&mut self, part: &JsonPart, is_map: bool) -> Result<Items, RenderProblem> {
        let value = part.get();
        if !is_map {
            let places: Vec<_> = value.items().map(|item| item.handle()).collect();
            let memory = self.meter.take(places.capacity() * size_of::<JsonHandle>())?;
            self.count(places.len() / 16)?;
            return Ok(Items::List { part: part.clone(), places, _memory: memory });
        }
        let members = sorted_members(value)?;
        let mut sink = Sink::value(&self.meter)?;
        let (mut keys, mut places) = (Vec::new(), Vec::new());
        for (key, member) in &members {
            let start = sink.len();
            sink.push(key.as_bytes())?;
            keys.push(place(start)..place(sink.len()));
            places.push(member.handle());
        }
        let memory = self.meter.take(places.capacity() * size_of::<JsonHandle>())?;
        let steps = members.len() + sink.steps();
        let keys = Texts::new(Bytes::written(sink), keys, &self.meter)?;
        self.count(steps)?;
        Ok(Items::Map { part: part.clone(), keys, places, _memory: memory })
    }

    /// Makes the next item `.`, and sets the variables.
    pub(super) fn next_item(&mut self, end: u32) -> Result<(), RenderProblem> {
        let Some(open) = self.ranges.last_mut().filter(|open| open.next < open.items.len()) else {
            self.next = end as usize;
            return Ok(());
        };
        let n = open.next;
        open.next += 1;
        let (key_slot, item_slot) = (open.key, open.item);
        let index = TemplateValue::Whole(i64::try_from(n).unwrap_or(i64::MAX));
        let (key, json) = match &open.items {
            Items::Count(_) => (TemplateValue::Missing, Err(index)),
            Items::Texts(texts) => {
                (index, Err(texts.text(n).map_or(TemplateValue::Missing, TemplateValue::Text)))
            }
            Items::List { part, places, .. } => (index, Ok(part.at(places[n]))),
            Items::Map { part, keys, places, .. } => {
                let key = keys.text(n).map_or(TemplateValue::Missing, TemplateValue::Text);
                (key, Ok(part.at(places[n])))
            }
        };
        let item = match json {
            Ok(part) => self.read(|reader| reader.read(&part))?,
            Err(item) => item,
        };
        if let Some(slot) = key_slot {
            self.set_variable(slot, key);
        }
        if let Some(slot) = item_slot {
            self.set_variable(slot, item.clone());
        }
        self.dots.push(item);
        Ok(())
    }
}
