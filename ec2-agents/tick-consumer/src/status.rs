use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::statistics::Heard;

/// After so long without an answer Kafka is taken to be away. Heartbeats go every 3 s and
/// fetches twice a second, so that some answers may get lost.
const MAX_SILENCE: Duration = Duration::from_secs(30);

/// How the consumer does its work. `/ready` and the gauges of `/metrics` show it.
#[derive(Debug, Default)]
pub(crate) struct Status {
    state: Mutex<State>,
    is_reported: OnceLock<()>,
}

#[derive(Debug, Default)]
struct State {
    /// When the group's coordinator answered last; `None` while this consumer is not a
    /// member.
    group: Option<Instant>,
    partitions: BTreeMap<i32, Partition>,
}

#[derive(Debug)]
struct Partition {
    stage: Stage,
    /// When its broker answered last.
    answered: Instant,
    /// The end of the readable log, if all of it was taken at the time of the statistics.
    end: Option<i64>,
    progress: Option<Progress>,
    landed: Option<Landed>,
}

#[derive(Debug)]
enum Stage {
    /// The task looks for the next offset to land.
    Starting,
    Reading,
    /// The task has stopped at a fault, and tries again now and then.
    Parked(String),
}

/// How far a partition is behind its log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    pub(crate) lag: i64,
    pub(crate) stalled_seconds: f64,
}

/// The newest batch that has landed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Landed {
    pub(crate) next: i64,
    pub(crate) delay_seconds: Option<f64>,
}

/// The state of one partition. Unknown values are absent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) partition: i32,
    pub(crate) is_parked: bool,
    pub(crate) progress: Option<Progress>,
    pub(crate) landed: Option<Landed>,
}

impl Status {
    /// Notes that the group has given an assignment, which may be empty.
    pub(crate) fn joined(&self) {
        self.change(|state| state.group = Some(Instant::now()));
    }

    /// Notes that the group has taken this consumer for dead.
    pub(crate) fn lost(&self) {
        self.change(|state| state.group = None);
    }

    /// Notes who has answered, and when.
    pub(crate) fn heard(&self, heard: &Heard) {
        let now = Instant::now();
        self.change(|state| {
            if let Some(answered) = heard.group.and_then(|silence| now.checked_sub(silence)) {
                state.group = Some(answered);
            }
            for (partition, silence) in &heard.partitions {
                if let (Some(partition), Some(answered)) = (
                    state.partitions.get_mut(partition),
                    now.checked_sub(*silence),
                ) {
                    partition.answered = answered;
                }
            }
            for (number, partition) in &mut state.partitions {
                partition.end = heard.ends.get(number).copied();
            }
        });
    }

    /// Counts in a partition that has been assigned, until the returned value is dropped.
    pub(crate) fn place(self: &Arc<Self>, partition: i32) -> Place {
        self.change(|state| {
            let starting = Partition {
                stage: Stage::Starting,
                answered: Instant::now(),
                end: None,
                progress: None,
                landed: None,
            };
            state.partitions.insert(partition, starting);
        });
        Place {
            status: Arc::clone(self),
            partition,
        }
    }

    /// Returns why the consumer is not ready, a reason a line; nothing if it is.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.state().problems(Instant::now())
    }

    /// Returns how each partition is.
    pub(crate) fn views(&self) -> Vec<View> {
        let now = Instant::now();
        let view = |(partition, state): (&i32, &Partition)| View {
            partition: *partition,
            is_parked: matches!(state.stage, Stage::Parked(_)),
            progress: state
                .progress
                .filter(|_| matches!(state.stage, Stage::Reading) && state.is_heard(now)),
            landed: state.landed,
        };
        self.state().partitions.iter().map(view).collect()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let is_settled = self.is_reported.get().is_none() && state.is_settled();
        drop(state);
        if is_settled {
            self.is_reported.get_or_init(agent::tell_ready);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// True once systemd may count the consumer as started. A parked partition does not
    /// hold that up: systemd would start a consumer that is not ready in time again for
    /// ever, and with it the partitions that are well.
    fn is_settled(&self) -> bool {
        self.group.is_some()
            && !self
                .partitions
                .values()
                .any(|partition| matches!(partition.stage, Stage::Starting))
    }

    fn problems(&self, now: Instant) -> Vec<String> {
        let mut problems = Vec::new();
        match self.group.map(|answered| now - answered) {
            None => problems.push("not in the group".to_owned()),
            Some(silence) if silence > MAX_SILENCE => problems.push(format!(
                "no answer from the group for {} s",
                silence.as_secs()
            )),
            Some(_) => {}
        }
        let numbers = |is_among: &dyn Fn(&Partition) -> bool| -> Option<String> {
            let among = self
                .partitions
                .iter()
                .filter(|(_, state)| is_among(state))
                .map(|(partition, _)| partition.to_string());
            Some(among.collect::<Vec<_>>().join(", ")).filter(|numbers| !numbers.is_empty())
        };
        problems.extend(
            numbers(&|state| matches!(state.stage, Stage::Starting))
                .map(|numbers| format!("partitions that are not read yet: {numbers}")),
        );
        problems.extend(
            numbers(&|state| matches!(state.stage, Stage::Reading) && !state.is_heard(now))
                .map(|numbers| format!("partitions whose broker does not answer: {numbers}")),
        );
        problems.extend(self.partitions.iter().filter_map(
            |(partition, state)| match &state.stage {
                // A reason a line.
                Stage::Parked(fault) => Some(format!(
                    "partition {partition} is parked: {}",
                    fault.replace("\n ", ";")
                )),
                _ => None,
            },
        ));
        problems
    }
}

impl Partition {
    fn is_heard(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.answered) <= MAX_SILENCE
    }
}

/// A partition's place in the status. It goes with the partition's task, and the
/// partition's gauges with it.
#[derive(Debug)]
pub(crate) struct Place {
    status: Arc<Status>,
    partition: i32,
}

impl Place {
    /// Notes that the task looks for the next offset to land. A parked partition stays
    /// parked until it is read.
    pub(crate) fn starting(&self) {
        self.change(|state| {
            if matches!(state.stage, Stage::Reading) {
                state.stage = Stage::Starting;
            }
        });
    }

    /// Notes that the partition is being read.
    pub(crate) fn reading(&self) {
        self.change(|state| {
            (state.stage, state.answered, state.end, state.progress) =
                (Stage::Reading, Instant::now(), None, None);
        });
    }

    /// Notes that the partition is parked, and why.
    pub(crate) fn parked(&self, fault: &str) {
        self.change(|state| state.stage = Stage::Parked(fault.to_owned()));
    }

    /// Returns the end of the readable log, if all of it has been taken.
    pub(crate) fn end(&self) -> Option<i64> {
        self.status.state().partitions.get(&self.partition)?.end
    }

    pub(crate) fn progress(&self, progress: Progress) {
        self.change(|state| state.progress = Some(progress));
    }

    pub(crate) fn landed(&self, landed: Landed) {
        self.change(|state| state.landed = Some(landed));
    }

    fn change(&self, change: impl FnOnce(&mut Partition)) {
        self.status.change(|state| {
            if let Some(partition) = state.partitions.get_mut(&self.partition) {
                change(partition);
            }
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.status.change(|state| {
            state.partitions.remove(&self.partition);
        });
    }
}
