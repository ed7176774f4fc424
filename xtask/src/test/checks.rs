use std::time::{Duration, Instant};

use anyhow::Result;
use local::Processes;

/// Time between two signs of life.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(30);

/// Runs checks one after the other and counts them.
pub(crate) struct Checks {
    filter: Option<String>,
    processes: Processes,
    passed: u64,
    failed: u64,
}

/// How many tests of a check's own passed and failed.
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Checks {
    pub(crate) fn new(filter: Option<String>, processes: Processes) -> Self {
        Self {
            filter,
            processes,
            passed: 0,
            failed: 0,
        }
    }

    /// Runs a check that passes or fails.
    pub(crate) async fn run(&mut self, name: &str, check: impl Future<Output = Result<()>>) {
        self.run_counted(name, async {
            check.await.map(|()| Counts {
                passed: 1,
                failed: 0,
            })
        })
        .await;
    }

    /// Runs a check that has tests of its own. The processes that it started are stopped.
    pub(crate) async fn run_counted(
        &mut self,
        name: &str,
        check: impl Future<Output = Result<Counts>>,
    ) {
        if self
            .filter
            .as_ref()
            .is_some_and(|filter| !name.contains(filter.as_str()))
        {
            return;
        }
        self.run_always(name, check).await;
    }

    /// Runs a check with any filter.
    pub(crate) async fn run_always(
        &mut self,
        name: &str,
        check: impl Future<Output = Result<Counts>>,
    ) {
        println!("---- {name}");
        let started = Instant::now();
        let outcome = with_signs(started, check).await;
        self.processes.stop_all().await;
        self.tell(name, started.elapsed(), outcome);
    }

    fn tell(&mut self, name: &str, took: Duration, outcome: Result<Counts>) {
        let seconds = took.as_secs_f64();
        match outcome {
            Ok(Counts { passed, failed }) => {
                (self.passed, self.failed) = (self.passed + passed, self.failed + failed);
                println!(
                    "{} {name}  {seconds:.1}s",
                    if failed == 0 { "ok  " } else { "FAIL" }
                );
            }
            Err(error) => {
                self.failed += 1;
                println!("FAIL {name}  {seconds:.1}s\n{error:#}");
            }
        }
    }

    /// Returns true if no check has run so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.passed + self.failed == 0
    }

    /// Prints the last line; returns true if nothing failed and something ran.
    pub(crate) fn close(&self) -> bool {
        println!("\n{} passed, {} failed", self.passed, self.failed);
        self.failed == 0 && self.passed > 0
    }
}

/// Waits for work, and shows every so often that it goes on.
async fn with_signs<T>(started: Instant, work: impl Future<Output = T>) -> T {
    let signs = async {
        loop {
            tokio::time::sleep(PROGRESS_INTERVAL).await;
            println!("     … {} s", started.elapsed().as_secs());
        }
    };
    tokio::select! {
        done = work => done,
        () = signs => unreachable!("signs of life have no end"),
    }
}
