/// Panics if the environment variable `TICKLAKE_PANIC_ON` is set and the text contains
/// its value. Only `cargo xtask test` sets it, to show that the deployed function unwinds
/// and fails only that message (G8).
pub fn panic_if_asked(text: &str) {
    if let Ok(word) = std::env::var("TICKLAKE_PANIC_ON") {
        assert!(
            word.is_empty() || !text.contains(&word),
            "TICKLAKE_PANIC_ON={word}"
        );
    }
}
