/// Returns the microseconds since 1970 of `YYYY-MM-DD HH:MM:SS.ffffff`, by the calendar's
/// rules alone (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
pub(super) fn micros(text: &str) -> Result<i64, String> {
    parse(text.as_bytes())
        .ok_or_else(|| format!("got {text:?}, wanted a time as YYYY-MM-DD HH:MM:SS.ffffff"))
}

fn parse(text: &[u8]) -> Option<i64> {
    if text.len() != 26 {
        return None;
    }
    let part = |from: usize, to: usize| {
        let digits = str::from_utf8(text.get(from..to)?).ok()?;
        let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse::<i64>().ok().filter(|_| is_number)
    };
    let marks = [4, 7, 10, 13, 16, 19].map(|place| text[place]);
    if marks != *b"-- ::." {
        return None;
    }
    let days = days(part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let seconds = (part(11, 13)? * 60 + part(14, 16)?) * 60 + part(17, 19)?;
    Some((days * 86_400 + seconds) * 1_000_000 + part(20, 26)?)
}

/// Returns the days from 1970 to a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that a leap day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_known_moments() {
        for (text, wanted) in [
            ("1970-01-01 00:00:00.000000", 0),
            ("2000-02-29 12:00:00.000001", 951_825_600_000_001),
            ("2026-11-21 05:00:00.500000", 1_795_237_200_500_000),
            ("9999-12-30 21:59:59.999999", 253_402_207_199_999_999),
        ] {
            assert_eq!(micros(text), Ok(wanted), "{text}");
        }
        for text in ["2026-11-21T05:00:00.500000", "2026-11-21", ""] {
            assert!(micros(text).is_err(), "{text}");
        }
    }
}
