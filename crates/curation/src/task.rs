use lake_layout::LakePartition;
use serde::{Deserialize, Serialize};

use crate::hour;

/// A message of the work queue: one unit of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Task {
    /// The curated hour.
    pub hour: LakePartition,
    /// The version.
    pub version: u32,
    /// The unit.
    pub unit: u32,
}

/// The reason why a message is not a task.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// It is not JSON of the right form.
    #[error("not a task of the work queue: {0}")]
    Form(#[from] serde_json::Error),
    /// The hour is not one that can be curated.
    #[error("not a task of the work queue: hour {0:?}, wanted one like dt=2026-11-24/hr=05")]
    Hour(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    hour: String,
    version: u32,
    unit: u32,
}

impl Task {
    /// Returns the body of the message.
    ///
    /// # Errors
    /// None that a task can cause; serde's signature has one.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Body {
            hour: self.hour.to_string(),
            version: self.version,
            unit: self.unit,
        })
    }

    /// Returns the task that a message is.
    ///
    /// # Errors
    /// It is not a task.
    pub fn from_json(body: &str) -> Result<Self, TaskError> {
        let Body {
            hour,
            version,
            unit,
        } = serde_json::from_str(body)?;
        Ok(Self {
            hour: hour::parse(&hour).ok_or(TaskError::Hour(hour))?,
            version,
            unit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_reads_back_and_errors_say_what_is_wrong() {
        let body = r#"{"hour":"dt=2026-11-24/hr=05","version":0,"unit":3}"#;
        let task = Task::from_json(body).expect("a task");
        assert_eq!(task.to_json().expect("JSON"), body);
        for (body, wanted) in [
            ("{}", "missing field"),
            (
                r#"{"hour":"dt=2026-11-24","version":0,"unit":3}"#,
                "dt=2026-11-24/hr=05",
            ),
            (
                r#"{"hour":"dt=unknown/hr=unknown","version":0,"unit":3}"#,
                "dt=unknown",
            ),
        ] {
            let error = Task::from_json(body).expect_err(body).to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
