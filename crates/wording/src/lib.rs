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

#[cfg(test)]
mod tests {
    use super::*;

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
