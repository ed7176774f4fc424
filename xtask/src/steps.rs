use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// Width of a step's name.
const NAME: usize = 10;
/// A step that takes longer shows that it is alive.
const SILENT: Duration = Duration::from_secs(2);
/// Time between two signs of life in a log.
const SIGN: Duration = Duration::from_secs(20);

/// Prints what happens, step by step, and keeps the time each took. On a terminal the
/// line of a step fills in place; in a log lines are plain.
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

    /// Runs a step: `doing` is shown while it lasts, the text it returns stays.
    pub(crate) async fn step<T>(
        &mut self,
        name: &str,
        doing: &str,
        step: impl Future<Output = Result<(String, T)>>,
    ) -> Result<T> {
        let started = Instant::now();
        let signs = async {
            tokio::time::sleep(SILENT).await;
            loop {
                let elapsed = started.elapsed().as_secs();
                if self.is_terminal {
                    print!("\r{name:NAME$} {doing} … {elapsed}s\x1b[K");
                    // Nothing can be done about a closed output.
                    let _ = std::io::stdout().flush();
                    tokio::time::sleep(Duration::from_millis(250)).await;
                } else {
                    println!("{name:NAME$} {doing} … {elapsed}s");
                    tokio::time::sleep(SIGN).await;
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
        println!("{name:NAME$} {text}  {elapsed:.1}s");
        Ok(value)
    }

    /// Prints lines that belong to the step before.
    pub(crate) fn detail(&self, text: &str) {
        for line in text.lines() {
            println!("{}", format!("{:NAME$} {line}", "").trim_end());
        }
    }

    /// Prints a line that is no step.
    pub(crate) fn line(&self, name: &str, text: &str) {
        println!("{name:NAME$} {text}");
    }

    /// Returns the seconds that each step took, in order.
    pub(crate) fn seconds(&self) -> &[(String, f64)] {
        &self.seconds
    }
}
