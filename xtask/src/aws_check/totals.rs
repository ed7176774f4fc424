use std::fmt;

use anyhow::{Result, bail};
use wording::count;

use super::outcome::Outcome;

/// Number of steps of each outcome.
#[derive(Debug, Default)]
pub(super) struct Totals {
    ok: u64,
    failed: u64,
    by_hand: u64,
    left_out: u64,
}

impl Totals {
    pub(super) fn add(&mut self, outcome: &Outcome) {
        *match outcome {
            Outcome::Ok(_) => &mut self.ok,
            Outcome::Failed(_) => &mut self.failed,
            Outcome::ByHand(_) => &mut self.by_hand,
            Outcome::LeftOut(_) => &mut self.left_out,
        } += 1;
    }

    /// Refuses a run in which a step has failed.
    pub(super) fn verdict(&self) -> Result<()> {
        if self.failed > 0 {
            let failed = count(self.failed, "failed step");
            bail!("{failed}; docs/aws-checklist.md describes each step");
        }
        Ok(())
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ok,
            failed,
            by_hand,
            left_out,
        } = self;
        write!(
            f,
            "{ok} ok, {failed} failed, {by_hand} to do by hand, {left_out} left out"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failed_step_fails_the_run() {
        let mut totals = Totals::default();
        for outcome in [
            Outcome::Ok,
            Outcome::ByHand,
            Outcome::ByHand,
            Outcome::LeftOut,
        ] {
            totals.add(&outcome(String::new()));
        }
        assert!(totals.verdict().is_ok());
        totals.add(&Outcome::Failed(String::new()));
        let wanted = "1 ok, 1 failed, 2 to do by hand, 1 left out";
        assert_eq!(totals.to_string(), wanted);
        let error = totals.verdict().unwrap_err().to_string();
        assert!(error.starts_with("1 failed step; "), "{error}");
    }
}
