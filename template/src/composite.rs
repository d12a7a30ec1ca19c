//! Maps, lists and structs, as those see them that write values.

use crate::fields::{AUTH_FIELDS, CERTIFICATE_FIELDS, FieldReader, SECRET_FIELDS};
use crate::render_fault::RenderProblem;
use crate::value::TemplateValue;
use crate::{MAX_ITEMS, value};

/// The kinds of values that have other values in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Composite {
    List,
    Map,
    /// A secret, a login or a certificate.
    Struct,
}

/// What is called for each value: with its number, its key, and the value.
pub(crate) type VisitItem<'v> =
    &'v mut dyn FnMut(&mut FieldReader<'_>, usize, &str, TemplateValue) -> Result<(), RenderProblem>;

impl TemplateValue {
    /// Returns the kind of a value that has others in it.
    pub(crate) fn composite(&self) -> Option<Composite> {
        match self {
            Self::Texts(_) => Some(Composite::List),
            Self::Json(part) if part.get().is_array() => Some(Composite::List),
            Self::Json(_) | Self::TextMap(_) | Self::NilMap { .. } => Some(Composite::Map),
            Self::Secret(_) | Self::Auth(_) | Self::Certificate(_) => Some(Composite::Struct),
            _ => None,
        }
    }

    /// Returns whether Go has a nil map or slice here.
    pub(crate) fn is_nil_composite(&self) -> bool {
        match self {
            Self::NilMap { .. } => true,
            Self::Texts(texts) => texts.is_nil,
            _ => false,
        }
    }

    /// Calls `visit` for each value in this one: those of maps in the order of their keys.
    pub(crate) fn each(
        &self,
        reader: &mut FieldReader<'_>,
        visit: VisitItem<'_>,
    ) -> Result<(), RenderProblem> {
        match self {
            Self::Texts(texts) => {
                for n in 0..texts.len() {
                    let text = texts.text(n).map_or(Self::Missing, Self::Text);
                    visit(reader, n, "", text)?;
                }
            }
            Self::Json(part) | Self::TextMap(part) => {
                let json = part.get();
                for (n, item) in json.items().enumerate() {
                    let item = reader.read(&part.at(item.handle()))?;
                    visit(reader, n, "", item)?;
                }
                for (n, (key, member)) in value::sorted_members(json)?.into_iter().enumerate() {
                    reader.steps += 1;
                    let member = reader.read(&part.at(member.handle()))?;
                    visit(reader, n, &key, member)?;
                }
            }
            Self::Secret(answer) => {
                for (n, name) in SECRET_FIELDS.into_iter().enumerate() {
                    let field = reader.secret_field(answer, name)?.unwrap_or(Self::Missing);
                    visit(reader, n, name, field)?;
                }
            }
            Self::Auth(part) => {
                for (n, name) in AUTH_FIELDS.into_iter().enumerate() {
                    let field = reader.auth_field(part, name)?.unwrap_or(Self::Missing);
                    visit(reader, n, name, field)?;
                }
            }
            Self::Certificate(_) => {
                for (n, name) in CERTIFICATE_FIELDS.into_iter().enumerate() {
                    let field = reader.field(self, name)?;
                    visit(reader, n, name, field)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the number of values in this one, or of bytes in a text; none if it has no length.
    pub(crate) fn length(&self, reader: &mut FieldReader<'_>) -> Result<Option<usize>, RenderProblem> {
        Ok(match self {
            Self::Text(bytes) | Self::Number(bytes) => Some(bytes.len()),
            Self::Texts(texts) => Some(texts.len()),
            Self::NilMap { .. } => Some(0),
            Self::Json(part) | Self::TextMap(part) => {
                let json = part.get();
                let length =
                    if json.is_array() { json.items().count() } else { value::sorted_members(json)?.len() };
                reader.steps += length.min(MAX_ITEMS);
                Some(length)
            }
            _ => None,
        })
    }
}
