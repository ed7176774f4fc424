/// A sum in twice the digits of a double (two-sum, Knuth), beside the size of its terms.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    high: f64,
    low: f64,
    size: f64,
}

/// How far a sum may be off, for a size of its terms of 1.
const TOLERANCE: f64 = 1e-12;

impl Sum {
    pub(crate) fn add(&mut self, term: f64) {
        let sum = self.high + term;
        let part = sum - self.high;
        let lost = (self.high - (sum - part)) + (term - part);
        self.high = sum;
        self.low += lost;
        self.size += term.abs();
    }

    pub(crate) fn value(&self) -> f64 {
        self.high + self.low
    }

    /// Returns whether the terms are too large for a double, so that nothing is promised.
    pub(crate) fn is_past_the_largest(&self) -> bool {
        !self.size.is_finite()
    }

    /// Returns whether a number is this sum.
    pub(crate) fn is(&self, number: f64) -> bool {
        self.is_past_the_largest() || (number - self.value()).abs() <= TOLERANCE * self.size
    }
}
