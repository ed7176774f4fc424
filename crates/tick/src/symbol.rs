use std::fmt;

/// A ticker symbol: not empty, no control characters, no blanks around it, at most 128
/// bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(String);

impl Symbol {
    /// The accepted form, for error messages.
    pub const WANTED: &str = "a symbol (1 to 128 bytes of text without control characters)";

    /// Returns the symbol in `text` without the blanks around it, or `None` if the text
    /// is not a symbol.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = (1..=128).contains(&text.len()) && !text.chars().any(char::is_control);
        fits.then(|| Self(text.to_owned()))
    }

    /// Returns the symbol's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lake's tab-delimited text escapes nothing, so a symbol with a line break would
    /// give two rows.
    #[test]
    fn a_symbol_is_128_bytes_of_text_at_most_without_control_characters() {
        let parsed = |text: &str| Symbol::parse(text).map(|symbol| symbol.to_string());
        assert_eq!(parsed(" BRK.B\t").as_deref(), Some("BRK.B"));
        assert_eq!(parsed(&"x".repeat(128)), Some("x".repeat(128)));
        for text in [
            "",
            " ",
            "A\tB",
            "A\nB",
            "A\u{7f}",
            "A\u{85}B",
            &"x".repeat(129),
            &"é".repeat(65),
        ] {
            assert_eq!(parsed(text), None, "{text:?}");
        }
    }
}
