//! Prints values as Go's package `fmt` does (<https://pkg.go.dev/fmt>).

mod leaves;

pub(crate) use self::leaves::character_length;

use self::leaves::Leaf;
use crate::budget::Sink;
use crate::composite::Composite;
use crate::fields::FieldReader;
use crate::render_fault::RenderProblem;
use crate::value::TemplateValue;

/// How a value is printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PrintForm {
    pub(crate) verb: char,
    pub(crate) width: Option<usize>,
    pub(crate) precision: Option<usize>,
    pub(crate) minus: bool,
    pub(crate) plus: bool,
    /// Whether fields of structs are printed with their names.
    pub(crate) names: bool,
    pub(crate) sharp: bool,
    pub(crate) space: bool,
    pub(crate) zero: bool,
}

impl PrintForm {
    /// Returns the form of `%v`, and of other verbs without flags.
    pub(crate) fn of(verb: char) -> Self {
        Self {
            verb,
            width: None,
            precision: None,
            minus: false,
            plus: false,
            names: false,
            sharp: false,
            space: false,
            zero: false,
        }
    }
}

/// Prints into a sink.
pub(crate) struct Printer<'s, 'r, 'm> {
    pub(crate) sink: &'s mut Sink,
    pub(crate) reader: &'r mut FieldReader<'m>,
}

impl Printer<'_, '_, '_> {
    /// Prints the value of an action.
    pub(crate) fn action(&mut self, value: &TemplateValue) -> Result<(), RenderProblem> {
        match value {
            TemplateValue::Missing => self.sink.push(b"<no value>"),
            TemplateValue::Text(text) | TemplateValue::Number(text) => self.sink.push(text.get()),
            // a secret is a pointer to a struct, and only here Go prints the struct
            TemplateValue::Secret(_) | TemplateValue::Auth(_) => {
                self.inside(value, PrintForm::of('v'), Composite::Struct)
            }
            value => self.argument(value, PrintForm::of('v')),
        }
    }

    /// Prints arguments as `print` does: with spaces between those that are no texts.
    pub(crate) fn print(&mut self, arguments: &[TemplateValue]) -> Result<(), RenderProblem> {
        let mut follows_text = true;
        for value in arguments {
            let is_text = matches!(value, TemplateValue::Text(_) | TemplateValue::Number(_));
            if !is_text && !follows_text {
                self.sink.push(b" ")?;
            }
            self.argument(value, PrintForm::of('v'))?;
            follows_text = is_text;
        }
        Ok(())
    }

    /// Prints arguments as `println` does: with spaces between all, and a line break.
    pub(crate) fn println(&mut self, arguments: &[TemplateValue]) -> Result<(), RenderProblem> {
        for (n, value) in arguments.iter().enumerate() {
            if n > 0 {
                self.sink.push(b" ")?;
            }
            self.argument(value, PrintForm::of('v'))?;
        }
        self.sink.push(b"\n")
    }

    /// Prints one argument.
    pub(crate) fn argument(&mut self, value: &TemplateValue, form: PrintForm) -> Result<(), RenderProblem> {
        match value {
            TemplateValue::Missing | TemplateValue::Nil => match form.verb {
                'T' | 'v' => self.leaf(form).padded(b"<nil>"),
                verb => self.sink.push(format!("%!{verb}(<nil>)").as_bytes()),
            },
            _ if form.verb == 'T' => {
                let name = type_name(value)?;
                self.leaf(form).text(name.as_bytes())
            }
            TemplateValue::Secret(_) => {
                self.sink.push(b"&")?;
                self.inside(value, form, Composite::Struct)
            }
            value => self.nested(value, form),
        }
    }

    fn leaf(&mut self, form: PrintForm) -> Leaf<'_> {
        Leaf { sink: self.sink, form }
    }

    /// Prints a value that is in another one.
    fn nested(&mut self, value: &TemplateValue, form: PrintForm) -> Result<(), RenderProblem> {
        self.sink.count_item()?;
        if let Some(composite) = value.composite() {
            if matches!(value, TemplateValue::Secret(_) | TemplateValue::Auth(_)) {
                return Err(RenderProblem::Unsupported("printing an address of memory"));
            }
            return self.inside(value, form, composite);
        }
        let is_printed = match value {
            TemplateValue::Nil | TemplateValue::Missing => return self.sink.push(b"<nil>"),
            TemplateValue::NilPointer if form.verb == 'v' => return self.leaf(form).padded(b"<nil>"),
            TemplateValue::NilPointer => {
                return Err(RenderProblem::Unsupported("this verb for a part that is not there"));
            }
            TemplateValue::Bool(truth) => self.leaf(form).bool(*truth)?,
            TemplateValue::Whole(number) => self.leaf(form).whole(*number)?,
            TemplateValue::Float(float) => self.leaf(form).float(*float)?,
            TemplateValue::Text(text) | TemplateValue::Number(text) => self.leaf(form).string(text.get())?,
            _ => true,
        };
        if is_printed {
            return Ok(());
        }
        self.sink.push(format!("%!{}({}=", form.verb, type_name(value)?).as_bytes())?;
        self.nested(value, PrintForm { verb: 'v', ..form })?;
        self.sink.push(b")")
    }

    fn inside(
        &mut self,
        value: &TemplateValue,
        form: PrintForm,
        composite: Composite,
    ) -> Result<(), RenderProblem> {
        let (begin, end): (&[u8], &[u8]) = match composite {
            Composite::List => (b"[", b"]"),
            Composite::Map => (b"map[", b"]"),
            Composite::Struct => (b"{", b"}"),
        };
        let sink = &mut *self.sink;
        sink.push(begin)?;
        value.each(self.reader, &mut |reader, n, key, item| {
            if n > 0 {
                sink.push(b" ")?;
            }
            let mut printer = Printer { sink, reader };
            match composite {
                Composite::Map => {
                    if !printer.leaf(form).string(key.as_bytes())? {
                        printer.sink.push(format!("%!{}(string=", form.verb).as_bytes())?;
                        printer.leaf(PrintForm { verb: 'v', ..form }).string(key.as_bytes())?;
                        printer.sink.push(b")")?;
                    }
                    printer.sink.push(b":")?;
                }
                Composite::Struct if form.names => printer.sink.push(format!("{key}:").as_bytes())?,
                _ => {}
            }
            printer.nested(&item, form)
        })?;
        self.sink.push(end)
    }
}

/// Returns the name of a value's type in Go.
pub(crate) fn type_name(value: &TemplateValue) -> Result<&'static str, RenderProblem> {
    Ok(match value {
        TemplateValue::Missing | TemplateValue::Nil => "<nil>",
        TemplateValue::Bool(_) => "bool",
        TemplateValue::Whole(_) => "int",
        TemplateValue::Float(_) => "float64",
        TemplateValue::Text(_) => "string",
        TemplateValue::Number(_) => "json.Number",
        TemplateValue::Texts(_) => "[]string",
        TemplateValue::TextMap(_) | TemplateValue::NilMap { of_texts: true } => "map[string]string",
        TemplateValue::Json(part) if part.get().is_array() => "[]interface {}",
        TemplateValue::Json(_) | TemplateValue::NilMap { .. } => "map[string]interface {}",
        TemplateValue::Secret(_) => "*dependency.Secret",
        TemplateValue::Auth(_) => "*dependency.SecretAuth",
        TemplateValue::Certificate(_) => "dependency.PemEncoded",
        TemplateValue::NilPointer => {
            return Err(RenderProblem::Unsupported("the type of a part that is not there"));
        }
    })
}
