/// Panics where the environment variable `TICKLAKE_PANIC_ON` is set and the text contains
/// its value. Nothing sets it but `cargo xtask test`, which shows with it that the
/// function as deployed unwinds, and fails the one message (G8).
pub fn panic_if_asked(text: &str) {
    if let Ok(word) = std::env::var("TICKLAKE_PANIC_ON") {
        assert!(
            word.is_empty() || !text.contains(&word),
            "TICKLAKE_PANIC_ON={word}"
        );
    }
}
