//! Numbers that a double does not give back digit for digit. Their digits come first in
//! [`Tick::extra`](crate::Tick::extra), each under its field's name. No other member has
//! such a name, as fields with these names are the tick's own.

use crate::json_text::push_member;

/// The fields of a tick that are numbers.
pub(crate) const NUMBERS: [&str; 6] = ["price", "volume", "open", "high", "low", "close"];

/// Returns `extra` with the digits of inexact numbers at its start. Takes the text and
/// the double of each of [`NUMBERS`].
pub(crate) fn keep_digits(
    extra: Option<String>,
    texts: &[&str; 6],
    numbers: &[Option<f64>; 6],
) -> Option<String> {
    let is_exact =
        |place: usize| numbers[place].is_none_or(|number| is_exact(texts[place], number));
    // Most ticks end here.
    if (0..NUMBERS.len()).all(is_exact) {
        return extra;
    }
    let mut members = String::new();
    for place in (0..NUMBERS.len()).filter(|place| !is_exact(*place)) {
        push_member(&mut members, NUMBERS[place], &json_number(texts[place]));
    }
    match extra.as_deref().and_then(|extra| extra.strip_prefix('{')) {
        Some(rest) => Some(members + "," + rest),
        None => Some(members + "}"),
    }
}

/// Iterates over the inexact numbers in the text of `extra`: field and digits.
pub(crate) struct Digits<'a> {
    /// The remaining members, with the `{` or `,` before the first; or `}`.
    pub(crate) rest: &'a str,
}

impl<'a> Iterator for Digits<'a> {
    type Item = (&'static str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        // After the quote that opens a name.
        let member = self.rest.get(2..)?;
        let value_of =
            |field: &&'static str| Some((*field, member.strip_prefix(field)?.strip_prefix("\":")?));
        let (field, value) = NUMBERS.iter().find_map(value_of)?;
        let end = value.find([',', '}'])?;
        self.rest = &value[end..];
        Some((field, &value[..end]))
    }
}

/// Returns how many numbers of a tick a double cannot hold, from its
/// [`Tick::extra`](crate::Tick::extra).
pub fn inexact_numbers(extra: &str) -> usize {
    Digits { rest: extra }.count()
}

/// Returns true if the number's double gives its decimal value back.
#[inline]
fn is_exact(text: &str, number: f64) -> bool {
    // A double of normal size always gives this many digits back.
    (text.len() <= f64::DIGITS as usize && number.is_normal()) || comes_back(text, number)
}

#[cold]
fn comes_back(text: &str, number: f64) -> bool {
    let decimal = Decimal::of(text);
    // Zero is a frequent volume; this saves formatting it.
    decimal == Some(Decimal::ZERO) || decimal == Decimal::of(&format!("{number:e}"))
}

/// The absolute value of a decimal number: 0.`digits` times ten to the power of
/// `exponent`. The digits are two pieces of the text; they neither begin nor end with a
/// zero.
struct Decimal<'a> {
    digits: [&'a str; 2],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    const ZERO: Self = Self {
        digits: ["", ""],
        exponent: 0,
    };

    /// Returns the value of a text that is a number; `None` if its exponent is beyond all
    /// doubles.
    fn of(text: &'a str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let whole = whole.trim_start_matches(['+', '-', '0']);
        let fraction = fraction.trim_end_matches('0');
        let (digits, places) = match (whole, fraction) {
            ("", "") => return Some(Self::ZERO),
            ("", fraction) => {
                let digits = fraction.trim_start_matches('0');
                (["", digits], digits.len() as i64 - fraction.len() as i64)
            }
            (whole, "") => ([whole.trim_end_matches('0'), ""], whole.len() as i64),
            (whole, fraction) => ([whole, fraction], whole.len() as i64),
        };
        Some(Self {
            digits,
            exponent: exponent.parse::<i64>().ok()?.checked_add(places)?,
        })
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.digits.iter().flat_map(|digits| digits.bytes())
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.exponent == other.exponent && self.digits().eq(other.digits())
    }
}

/// Returns a number in the form of JSON, with all its digits. Rust also reads `+1`, `.5`,
/// `5.` and `007`, which are not JSON.
fn json_number(text: &str) -> String {
    let (sign, number) = match text.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = number.split_at(number.find(['e', 'E']).unwrap_or(number.len()));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = whole.trim_start_matches('0');
    let zero = if whole.is_empty() { "0" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
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
        for text in [
            "9007199254740993",
            "0.1000000000000000055",
            "4.9e-324",
            "1e-400",
            "1e-99999999999999999999",
            "0.3000000000000000400001",
        ] {
            assert!(!exact(text), "{text}");
        }
    }

    #[test]
    fn other_fields_are_not_counted() {
        assert_eq!(
            inexact_numbers(concat!(
                r#"{"price":1.00000000000000001,"low":9007199254740993,"#,
                r#""prices":[1],"x":{"high":1}}"#,
            )),
            2
        );
        assert_eq!(
            inexact_numbers(r#"{"prices":1}"#)
                + inexact_numbers(r#"{"x":{"price":1}}"#)
                + inexact_numbers(""),
            0
        );
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
            let scientific = format!("{number:e}");
            let (mantissa, exponent) = scientific.split_once('e').expect("an exponent");
            let point = if mantissa.contains('.') { "" } else { "." };
            let zeros = format!("{mantissa}{point}000e{exponent}");
            prop_assert!(is_exact(&zeros, number), "{}", zeros);
            let more = format!("{mantissa}{point}00000000000000000000{digit}e{exponent}");
            prop_assert_eq!(more.parse(), Ok(number));
            prop_assert!(!is_exact(&more, number), "{}", more);
        }

        #[test]
        fn fifteen_digits_always_come_back(
            text in concat!(
                "[1-9][0-9]{0,10}e-?[0-9]{1,2}",
                "|[0-9]\\.[0-9]{0,13}",
                "|[1-9][0-9]{0,14}",
            )
        ) {
            let number: f64 = text.parse().expect("a number");
            prop_assert!(Decimal::of(&text) == Decimal::of(&format!("{number:e}")), "{}", text);
        }

        #[test]
        fn json_reads_the_same_number(
            text in concat!(
                "[+-]?([0-9]{1,25}\\.?|[0-9]{0,25}\\.[0-9]{1,25})",
                "([eE][+-]?[0-9]{1,2})?",
            )
        ) {
            let json = json_number(&text);
            let value = serde_json::from_str::<serde_json::Value>(&json);
            prop_assert!(value.is_ok_and(|value| value.is_number()), "{}", json);
            prop_assert!(Decimal::of(&json) == Decimal::of(&text), "{}", json);
        }
    }
}
