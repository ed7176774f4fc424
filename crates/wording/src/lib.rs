//! Numbers as people read them, the same in mails, logs and on the terminal.

/// Returns `1204881` as `1,204,881`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, rest) = digits.split_at(first);
    let groups = rest
        .as_bytes()
        .chunks(3)
        .map(|group| group.iter().map(|digit| char::from(*digit)).collect());
    (!head.is_empty())
        .then(|| head.to_owned())
        .into_iter()
        .chain(groups)
        .collect::<Vec<String>>()
        .join(",")
}

/// Returns `1 tick`, `5,693 ticks`.
pub fn count(number: u64, noun: &str) -> String {
    format!(
        "{} {noun}{}",
        grouped(number),
        if number == 1 { "" } else { "s" }
    )
}

/// Returns a change as percent with its sign: `+0.50 %` for 0.005. Without a change, and
/// rounded to none, it is `0.00 %`.
pub fn percent(change: f64) -> String {
    // The largest changes are past the largest double once they are percent.
    let percent = (100.0 * change).clamp(f64::MIN, f64::MAX);
    let text = match percent.abs() {
        size if size < 0.005 => "0.00".to_owned(),
        size if size < 1e6 => format!("{percent:+.2}"),
        _ => format!("{percent:+.1e}"),
    };
    format!("{} %", text.replace('-', "−"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_has_its_sign_and_two_decimals_and_never_a_hundred_digits() {
        for (change, wanted) in [
            (0.005, "+0.50 %"),
            (-0.0123, "−1.23 %"),
            (0.0, "0.00 %"),
            (-0.00004, "0.00 %"),
            (-0.00006, "−0.01 %"),
            (2.0, "+200.00 %"),
            (12_345.0, "+1.2e6 %"),
            (f64::MIN, "−1.8e308 %"),
        ] {
            assert_eq!(percent(change), wanted);
        }
    }

    #[test]
    fn thousands_are_grouped_and_nouns_agree() {
        assert_eq!(
            [0, 999, 1000, 12345, 1204881].map(grouped),
            ["0", "999", "1,000", "12,345", "1,204,881"]
        );
        assert_eq!(
            [count(0, "file"), count(1, "file"), count(5693, "tick")],
            ["0 files", "1 file", "5,693 ticks"]
        );
    }
}
