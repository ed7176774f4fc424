//! Numbers that a double does not give back digit for digit. Their digits stand first in [`Tick::extra`](crate::Tick::extra), each under its field's name,
//! which no other member has: fields with these names are the tick's own.

use crate::json::push_member;

/// The fields of a tick that are numbers.
const NUMBERS: [&str; 6] = ["price", "volume", "open", "high", "low", "close"];

/// Gathers the digits of a tick's inexact numbers.
#[derive(Default)]
pub(crate) struct Inexact {
    members: String,
}

impl Inexact {
    /// Keeps the text of a field's number where its double is another number.
    pub(crate) fn keep(&mut self, field: &str, text: &str, number: f64) {
        if !is_exact(text, number) {
            push_member(&mut self.members, field, &json_number(text));
        }
    }

    /// Returns `extra` with what was kept before it.
    pub(crate) fn before(self, extra: Option<String>) -> Option<String> {
        let Self { members } = self;
        match extra.as_deref().and_then(|extra| extra.strip_prefix('{')) {
            _ if members.is_empty() => extra,
            Some(rest) => Some(members + "," + rest),
            None => Some(members + "}"),
        }
    }
}

/// Walks the inexact numbers in the text of `extra`: field and digits.
pub(crate) struct Digits<'a> {
    /// The members behind, with the `{` or `,` before the first; or `}`.
    pub(crate) rest: &'a str,
}

impl<'a> Iterator for Digits<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (field, value) = self.rest.get(1..)?.strip_prefix('"')?.split_once("\":")?;
        let end = NUMBERS.contains(&field).then(|| value.find([',', '}']))??;
        self.rest = &value[end..];
        Some((field, &value[..end]))
    }
}

/// Returns how many numbers of a tick a double does not hold, by its [`Tick::extra`](crate::Tick::extra).
pub fn inexact_numbers(extra: &str) -> usize {
    Digits { rest: extra }.count()
}

/// Returns true for a number whose double gives its decimal value back.
fn is_exact(text: &str, number: f64) -> bool {
    // So few digits always come back from a double of normal size.
    if text.len() <= f64::DIGITS as usize && number.is_normal() {
        return true;
    }
    let decimal = Decimal::of(text);
    // No text is made of a zero, which is a frequent volume.
    decimal == Some(Decimal::ZERO) || decimal == Decimal::of(&format!("{number:e}"))
}

/// The value of a decimal number but for its sign: 0.`digits` times ten to the power of `exponent`, without a zero at either end of the digits.
#[derive(PartialEq, Eq)]
struct Decimal {
    digits: String,
    exponent: i64,
}

impl Decimal {
    const ZERO: Self = Self { digits: String::new(), exponent: 0 };

    /// Returns the value of a text that is a number; `None` if its exponent is beyond all doubles.
    fn of(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let whole = whole.trim_start_matches(['+', '-', '0']);
        let places =
            if whole.is_empty() { fraction.trim_start_matches('0').len() as i64 - fraction.len() as i64 } else { whole.len() as i64 };
        let digits = (whole.to_owned() + fraction).trim_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self::ZERO);
        }
        Some(Self { digits, exponent: exponent.parse::<i64>().ok()?.checked_add(places)? })
    }
}

/// Returns a number as JSON has it, with all its digits: Rust also reads `+1`, `.5`, `5.` and `007`.
fn json_number(text: &str) -> String {
    let (sign, number) = match text.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = number.split_at(number.find(['e', 'E']).unwrap_or(number.len()));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = whole.trim_start_matches('0');
    let (zero, point) = (if whole.is_empty() { "0" } else { "" }, if fraction.is_empty() { "" } else { "." });
    format!("{sign}{zero}{whole}{point}{fraction}{exponent}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exact(text: &str) -> bool {
        is_exact(text, text.parse().expect(text))
    }

    #[test]
    fn the_value_decides_not_its_spelling() {
        for text in [
            "0",
            "-0.0",
            "0e99999999999999999999",
            "1.50",
            "1e2",
            "100.0",
            "0.1",
            "0.30000000000000004",
            "1e23",
            "100000000000000000000000",
            "5e-324",
        ] {
            assert!(exact(text), "{text}");
        }
        for text in
            ["9007199254740993", "0.1000000000000000055", "4.9e-324", "1e-400", "1e-99999999999999999999", "0.3000000000000000400001"]
        {
            assert!(!exact(text), "{text}");
        }
    }

    #[test]
    fn other_fields_are_not_counted() {
        assert_eq!(inexact_numbers(r#"{"price":1.00000000000000001,"low":9007199254740993,"prices":[1],"x":{"high":1}}"#), 2);
        assert_eq!(inexact_numbers(r#"{"prices":1}"#) + inexact_numbers(r#"{"x":{"price":1}}"#) + inexact_numbers(""), 0);
    }

    proptest! {
        #[test]
        fn a_doubles_own_digits_are_exact_and_more_are_not(bits: u64, digit in 1..10) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            // `{:?}` writes a point or an exponent, `{}` all places before the point.
            for text in [format!("{number:?}"), format!("{number}"), format!("{number:E}")] {
                prop_assert!(is_exact(&text, number), "{}", text);
                prop_assert!(is_exact(&json_number(&text), number), "{}", text);
            }
            let (mantissa, exponent) = format!("{number:e}").split_once('e').map(|(m, e)| (m.to_owned(), e.to_owned())).expect("an exponent");
            let point = if mantissa.contains('.') { "" } else { "." };
            let zeros = format!("{mantissa}{point}000e{exponent}");
            prop_assert!(is_exact(&zeros, number), "{}", zeros);
            let more = format!("{mantissa}{point}00000000000000000000{digit}e{exponent}");
            prop_assert_eq!(more.parse(), Ok(number));
            prop_assert!(!is_exact(&more, number), "{}", more);
        }

        #[test]
        fn fifteen_digits_always_come_back(text in "[1-9][0-9]{0,10}e-?[0-9]{1,2}|[0-9]\\.[0-9]{0,13}|[1-9][0-9]{0,14}") {
            let number: f64 = text.parse().expect("a number");
            prop_assert!(Decimal::of(&text) == Decimal::of(&format!("{number:e}")), "{}", text);
        }

        #[test]
        fn json_reads_the_same_number(text in "[+-]?([0-9]{1,25}\\.?|[0-9]{0,25}\\.[0-9]{1,25})([eE][+-]?[0-9]{1,2})?") {
            let json = json_number(&text);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok_and(|value| value.is_number()), "{}", json);
            prop_assert!(Decimal::of(&json) == Decimal::of(&text), "{}", json);
        }
    }
}
