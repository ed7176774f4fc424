use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// Width of a step's name.
const NAME_WIDTH: usize = 10;
/// Time before a step prints a sign of life.
const SILENT_TIME: Duration = Duration::from_secs(2);
/// Time between two signs of life in a log; a terminal gets them more often.
const SIGN_OF_LIFE_INTERVAL: Duration = Duration::from_secs(20);

/// Prints the progress, step by step, and measures the time of each. On a terminal a step
/// rewrites its line; in a log it prints plain lines.
pub(crate) struct Steps {
    is_terminal: bool,
    seconds: Vec<(String, f64)>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self {
            is_terminal: std::io::stdout().is_terminal(),
            seconds: Vec::new(),
        }
    }

    /// Runs a step. Prints `doing` while it runs, and in the end the text that it
    /// returns.
    pub(crate) async fn step<T>(
        &mut self,
        name: &str,
        doing: &str,
        step: impl Future<Output = Result<(String, T)>>,
    ) -> Result<T> {
        let started = Instant::now();
        let signs = async {
            tokio::time::sleep(SILENT_TIME).await;
            loop {
                let elapsed = started.elapsed().as_secs();
                if self.is_terminal {
                    print!("\r{name:NAME_WIDTH$} {doing} … {elapsed}s\x1b[K");
                    // There is no remedy for a closed output.
                    let _ = std::io::stdout().flush();
                    tokio::time::sleep(Duration::from_millis(250)).await;
                } else {
                    println!("{name:NAME_WIDTH$} {doing} … {elapsed}s");
                    tokio::time::sleep(SIGN_OF_LIFE_INTERVAL).await;
                }
            }
        };
        let outcome = tokio::select! {
            outcome = step => outcome,
            () = signs => unreachable!("signs of life have no end"),
        };
        if self.is_terminal {
            print!("\r\x1b[K");
        }
        let (text, value) = outcome.with_context(|| format!("{name} ({doing})"))?;
        let elapsed = started.elapsed().as_secs_f64();
        self.seconds
            .push((name.to_owned(), (elapsed * 1000.0).round() / 1000.0));
        println!("{name:NAME_WIDTH$} {text}  {elapsed:.1}s");
        Ok(value)
    }

    /// Prints more lines about the last step.
    pub(crate) fn detail(&self, text: &str) {
        for line in text.lines() {
            println!("{}", format!("{:NAME_WIDTH$} {line}", "").trim_end());
        }
    }

    /// Prints a line that is not a step.
    pub(crate) fn line(&self, name: &str, text: &str) {
        println!("{name:NAME_WIDTH$} {text}");
    }

    /// Returns the seconds of each step, in order.
    pub(crate) fn seconds(&self) -> &[(String, f64)] {
        &self.seconds
    }
}
