//! Floats as Go's `strconv.FormatFloat` writes them.

/// How a float is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FloatForm {
    /// `%e`
    Exponent,
    /// `%f`
    Plain,
    /// `%g`
    Shorter,
}

/// The significant digits of a float, without zeros at the end, and the place of the point.
struct Digits {
    digits: Vec<u8>,
    point: i32,
}

/// Returns a float with this many digits; without a number with as many as are needed.
pub(crate) fn float_text(float: f64, form: FloatForm, precision: Option<usize>) -> String {
    let sign = if float.is_sign_negative() { "-" } else { "" };
    let size = float.abs();
    let text = match (form, precision) {
        (FloatForm::Plain, Some(places)) => format!("{size:.places$}"),
        (FloatForm::Plain, None) => {
            let digits = Digits::of(&format!("{size:e}"));
            digits.plain()
        }
        (FloatForm::Exponent, precision) => {
            let text = match precision {
                Some(places) => format!("{size:.places$e}"),
                None => format!("{size:e}"),
            };
            with_exponent(&text)
        }
        (FloatForm::Shorter, precision) => shorter(size, precision),
    };
    format!("{sign}{text}")
}

/// Returns a float as `encoding/json` writes it.
pub(crate) fn json_float(float: f64) -> String {
    let size = float.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return float_text(float, FloatForm::Plain, None);
    }
    // of an exponent such as e-09 JSON has one digit
    float_text(float, FloatForm::Exponent, None).replace("e-0", "e-")
}

fn shorter(size: f64, precision: Option<usize>) -> String {
    let significant = precision.map(|precision| precision.max(1));
    let digits = match significant {
        Some(significant) => Digits::of(&format!("{size:.*e}", significant - 1)),
        None => Digits::of(&format!("{size:e}")),
    };
    let count = i32::try_from(digits.digits.len()).unwrap_or(i32::MAX);
    let mut bound = significant.map_or(6, |significant| i32::try_from(significant).unwrap_or(i32::MAX));
    if significant.is_some() && bound > count && count >= digits.point {
        bound = count;
    }
    let exponent = digits.point - 1;
    if exponent < -4 || exponent >= bound { digits.with_exponent(exponent) } else { digits.plain() }
}

impl Digits {
    /// Returns the digits of a text such as `1.25e-3`.
    fn of(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        let point = if digits.is_empty() { 0 } else { exponent.parse::<i32>().unwrap_or(0) + 1 };
        Self { digits, point }
    }

    fn digit(&self, at: i32) -> char {
        let digit = usize::try_from(at).ok().and_then(|at| self.digits.get(at));
        char::from(digit.copied().unwrap_or(b'0'))
    }

    fn plain(&self) -> String {
        let places = i32::try_from(self.digits.len()).unwrap_or(i32::MAX) - self.point;
        let mut text = String::new();
        if self.point > 0 {
            text.extend((0..self.point).map(|at| self.digit(at)));
        } else {
            text.push('0');
        }
        if places > 0 {
            text.push('.');
            text.extend((self.point..self.point + places).map(|at| self.digit(at)));
        }
        text
    }

    fn with_exponent(&self, exponent: i32) -> String {
        let mut mantissa = self.digit(0).to_string();
        if self.digits.len() > 1 {
            mantissa.push('.');
            mantissa.extend(self.digits[1..].iter().map(|digit| char::from(*digit)));
        }
        with_exponent(&format!("{mantissa}e{exponent}"))
    }
}

/// Returns a number with the exponent of Go: a sign and at least two digits.
fn with_exponent(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
