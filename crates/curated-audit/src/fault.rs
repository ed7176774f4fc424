use std::fmt;

/// Faults of a version that are listed one by one; the others are counted.
const MAX_LISTED: usize = 20;

/// A difference between a version and its promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key of the object, or the folder.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// The faults of a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    count: u64,
    listed: Vec<Fault>,
}

impl Faults {
    /// Adds a fault.
    pub fn add(&mut self, place: impl fmt::Display, problem: impl fmt::Display) {
        self.count += 1;
        if self.listed.len() < MAX_LISTED {
            self.listed.push(Fault {
                place: place.to_string(),
                problem: problem.to_string(),
            });
        }
    }

    /// Returns the number of faults.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the first faults.
    pub fn listed(&self) -> &[Fault] {
        &self.listed
    }
}
