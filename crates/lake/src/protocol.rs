//! Exactly once, as a state machine: no I/O, no clock, no async. `tick-consumer` drives
//! it unchanged, and `tests/protocol_model.rs` explores it.
//!
//! Each partition has a chain of manifests ([`Manifest`]), from offset 0 on without a
//! hole. The argument in four steps:
//!
//! 1. For each `first` there is at most one manifest, as S3 refuses a second one
//!    (`If-None-Match: *`). After any answer but success, [`Protocol`] reads the register
//!    and obeys the manifest that it finds. It takes the manifest for its own only if the
//!    *whole* body is the one that it sent.
//! 2. A manifest is sent only if the one before it is complete, that is, if all objects
//!    of that one exist ([`Standing::Ready`]). So all manifests except the newest are
//!    complete, and a start has to check only the newest.
//! 3. The keys of objects follow from the manifest, their contents from its map of
//!    offsets, and S3 also refuses a second object of the same key. So it does not matter
//!    which consumer creates an object, when, or how often. An object is created whole
//!    ([`crate::Repair`] creates no other). If retention had taken records or an operator
//!    had given them up by then, its metadata record that. The first object decides, and
//!    the other consumers find it.
//! 4. The records of a batch come from the topic that its manifest names. The topic's id
//!    is read after the records were read and before anything is sent, and an id never
//!    comes back.
//!
//! Hence crashes, zombies, late and repeated PUTs and lost answers change nothing.
//! Neither do Kafka's committed offsets, which are never read back.

use std::sync::Arc;

use crate::{GapReason, Manifest};

/// A question or an action that the machine asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Request {
    /// Find the partition's newest manifest. Answer: [`Answer::Manifest`].
    FindTail,
    /// Read the log's bounds first, and the topic's id *after* them. Answer:
    /// [`Answer::Log`].
    LookAtLog,
    /// Read the topic's id. Answer: [`Answer::TopicId`].
    CheckTopic,
    /// Create a manifest that must not exist yet. Answer: [`Answer::Created`], or
    /// [`Answer::Refused`] in any other case, also if S3 does not answer.
    CreateManifest(Arc<Manifest>),
    /// Read the manifest that begins at this offset. Answer: [`Answer::Manifest`].
    ReadManifest(i64),
    /// Read the attempt that created an object. Answer: [`Answer::Object`].
    InspectObject(Arc<Manifest>, usize),
    /// Read the records of a manifest's objects from the log again and build the objects
    /// of the manifest: at least some of these, each of them whole. Answer:
    /// [`Answer::Made`].
    ReadBack(Arc<Manifest>, Vec<usize>),
    /// Create an object that must not exist yet, from the batch or from the result of
    /// [`Request::ReadBack`]. Answer: as for a manifest.
    CreateObject(Arc<Manifest>, usize),
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The manifest, if there is one.
    Manifest(Option<Arc<Manifest>>),
    /// The log.
    Log(Log),
    /// The topic's id.
    TopicId(String),
    /// It was created now.
    Created,
    /// It was refused, or the result is not known.
    Refused,
    /// The attempt in the object's metadata: `None` if there is no object, empty if the
    /// object has none.
    Object(Option<String>),
    /// The objects that were built; they are kept until they are created.
    Made(Vec<usize>),
}

/// A partition's log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Log {
    /// The topic's id, read after the bounds.
    pub topic_id: String,
    /// Its first offset.
    pub start: i64,
    /// The offset after its last record.
    pub end: i64,
}

/// The state of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing<'a> {
    /// It has requests.
    Busy,
    /// Every manifest is complete, and the next batch begins at `next`.
    Ready {
        /// The first offset of the next batch.
        next: i64,
        /// The attempt of the newest manifest, if there is one.
        tail: Option<&'a str>,
    },
    /// As `Ready`, but the log no longer has the offsets from `first` to `last`. They
    /// have to be registered as a gap.
    Gap {
        /// The first offset that is gone.
        first: i64,
        /// The last offset that is gone.
        last: i64,
        /// The reason.
        reason: GapReason,
    },
    /// It must not continue.
    Failed(&'a Fault),
}

/// The reason why no more of a partition can land. The landed records are not affected.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The topic was deleted and recreated.
    TopicMadeAnew {
        /// The id that the manifests name.
        was: String,
        /// The topic's id now.
        now: String,
        /// The offset after the last landed one.
        next: i64,
    },
    /// The log ends before the last landed offset.
    LogTruncated {
        /// The offset after the last landed one.
        next: i64,
        /// The log's end.
        end: i64,
    },
    /// Another program's object has the key of one of ours.
    ForeignObject {
        /// Its key.
        key: String,
    },
}

/// The protocol for one partition, from one assignment to its end. See the module's
/// documentation.
///
/// ```
/// use std::sync::Arc;
/// use lake::{Answer, Batch, Format, Log, Protocol, Record, Request, Routing, Rules, Standing};
///
/// // The lake is empty, and the log has one record.
/// let mut protocol = Protocol::new();
/// assert_eq!(protocol.requests(), [Request::FindTail]);
/// protocol.answer(&Request::FindTail, Answer::Manifest(None));
/// let log = Log { topic_id: "id".to_owned(), start: 0, end: 1 };
/// protocol.answer(&Request::LookAtLog, Answer::Log(log));
/// assert_eq!(protocol.standing(), Standing::Ready { next: 0, tail: None });
///
/// let routing = Routing::default();
/// let rules = Rules { routing, max_record_bytes: 1000, skip_tombstones: false };
/// let mut batch = Batch::new("ticks", 0, 0, rules);
/// batch.push(&Record::default(), std::time::Instant::now());
/// let (manifest, _) = batch.seal(Format::Parquet, "id", "attempt")?;
/// let manifest = Arc::new(manifest);
/// assert_eq!(protocol.seal(Arc::clone(&manifest)), Ok(()));
///
/// // The topic first, then the manifest, and only then its objects.
/// assert_eq!(protocol.requests(), [Request::CheckTopic]);
/// protocol.answer(&Request::CheckTopic, Answer::TopicId("id".to_owned()));
/// let create = Request::CreateManifest(Arc::clone(&manifest));
/// assert_eq!(protocol.requests(), [create.clone()]);
/// protocol.answer(&create, Answer::Created);
/// let create = Request::CreateObject(manifest, 0);
/// assert_eq!(protocol.requests(), [create.clone()]);
/// protocol.answer(&create, Answer::Created);
/// assert_eq!(protocol.standing(), Standing::Ready { next: 1, tail: Some("attempt") });
/// # Ok::<(), lake::EncodeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Protocol {
    /// The topic's id, which everything has to match. Known once the log was read.
    topic_id: Option<String>,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum State {
    Locating,
    Measuring {
        tail: Option<Arc<Manifest>>,
    },
    Completing(Completing),
    Ready {
        next: i64,
        tail: Option<String>,
        log_start: i64,
    },
    Checking(Arc<Manifest>),
    Registering(Arc<Manifest>),
    Obeying(Arc<Manifest>),
    Failed(Fault),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Completing {
    manifest: Arc<Manifest>,
    step: Step,
    objects: Vec<ObjectState>,
    /// The start of the log when it was read, or 0 if it was not.
    log_start: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Inspecting,
    ReadingBack,
    Checking,
    Creating,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum ObjectState {
    Unknown,
    /// Neither in the lake nor built.
    Missing,
    /// Built, but not created yet.
    Made,
    Refused,
    There,
}

impl Default for Protocol {
    fn default() -> Self {
        Self::new()
    }
}

impl Protocol {
    /// Returns the machine in its first state, in which it knows nothing.
    pub fn new() -> Self {
        Self {
            topic_id: None,
            state: State::Locating,
        }
    }

    /// Returns its state.
    pub fn standing(&self) -> Standing<'_> {
        match &self.state {
            State::Ready {
                next,
                log_start,
                tail,
            } if log_start > next => {
                let reason = if tail.is_none() {
                    GapReason::BeforeLogStart
                } else {
                    GapReason::LostToRetention
                };
                Standing::Gap {
                    first: *next,
                    last: log_start - 1,
                    reason,
                }
            }
            State::Ready { next, tail, .. } => Standing::Ready {
                next: *next,
                tail: tail.as_deref(),
            },
            State::Failed(fault) => Standing::Failed(fault),
            _ => Standing::Busy,
        }
    }

    /// Returns the topic's id that manifests have to name, or `None` before the log was
    /// read.
    pub fn topic_id(&self) -> Option<&str> {
        self.topic_id.as_deref()
    }

    /// Returns the open requests. Those for objects may be carried out at the same time
    /// and in any order.
    pub fn requests(&self) -> Vec<Request> {
        match &self.state {
            State::Locating => vec![Request::FindTail],
            State::Measuring { .. } => vec![Request::LookAtLog],
            State::Checking(_) => vec![Request::CheckTopic],
            State::Registering(manifest) => vec![Request::CreateManifest(Arc::clone(manifest))],
            State::Obeying(manifest) => vec![Request::ReadManifest(manifest.first)],
            State::Ready { .. } | State::Failed(_) => Vec::new(),
            State::Completing(Completing {
                manifest,
                step,
                objects,
                ..
            }) => match step {
                Step::ReadingBack => {
                    let missing = (0..objects.len())
                        .filter(|index| objects[*index] == ObjectState::Missing)
                        .collect();
                    vec![Request::ReadBack(Arc::clone(manifest), missing)]
                }
                Step::Checking => vec![Request::CheckTopic],
                Step::Inspecting | Step::Creating => {
                    let request = |(index, state): (usize, &ObjectState)| match state {
                        ObjectState::Unknown | ObjectState::Refused => {
                            Some(Request::InspectObject(Arc::clone(manifest), index))
                        }
                        ObjectState::Made => {
                            Some(Request::CreateObject(Arc::clone(manifest), index))
                        }
                        ObjectState::Missing | ObjectState::There => None,
                    };
                    objects.iter().enumerate().filter_map(request).collect()
                }
            },
        }
    }

    /// Begins to seal a batch, or to register a gap. Does so only while
    /// [`Standing::Ready`] or [`Standing::Gap`], and only at `next`, as the chain would
    /// have a hole otherwise.
    ///
    /// # Errors
    /// Returns the manifest if its turn has not come.
    pub fn seal(&mut self, manifest: Arc<Manifest>) -> Result<(), Arc<Manifest>> {
        match &self.state {
            State::Ready { next, .. } if *next == manifest.first => {
                self.state = State::Checking(manifest);
                Ok(())
            }
            _ => Err(manifest),
        }
    }

    /// Starts again, if the log no longer has the next record, or the partition is
    /// assigned again.
    pub fn restart(&mut self) {
        if !matches!(self.state, State::Failed(_)) {
            self.state = State::Locating;
        }
    }

    /// Takes the answer to one of [`Protocol::requests`]; any other is ignored.
    pub fn answer(&mut self, request: &Request, answer: Answer) {
        let state = std::mem::replace(&mut self.state, State::Locating);
        self.state = match (state, request, answer) {
            (State::Locating, Request::FindTail, Answer::Manifest(tail)) => {
                State::Measuring { tail }
            }
            (State::Measuring { tail }, Request::LookAtLog, Answer::Log(log)) => {
                self.measured(tail, &log)
            }
            (State::Checking(manifest), Request::CheckTopic, Answer::TopicId(id)) => {
                match made_anew(&manifest.topic_id, &id, manifest.first) {
                    Some(fault) => State::Failed(fault),
                    None => State::Registering(manifest),
                }
            }
            // G1: exactly one manifest begins here, even if another consumer created it.
            (State::Registering(manifest), Request::CreateManifest(_), Answer::Created) => {
                complete(manifest, Step::Creating, ObjectState::Made, 0)
            }
            (State::Registering(manifest), Request::CreateManifest(_), Answer::Refused) => {
                State::Obeying(manifest)
            }
            (State::Obeying(own), Request::ReadManifest(_), Answer::Manifest(found)) => match found
            {
                None => State::Registering(own),
                Some(found) if found == own => complete(own, Step::Creating, ObjectState::Made, 0),
                // The topic was recreated meanwhile, or before the other consumer's
                // manifest arrived. The machine has to find out the true state again.
                Some(found) if self.topic_id.as_ref() != Some(&found.topic_id) => State::Locating,
                Some(found) => complete(found, Step::Inspecting, ObjectState::Unknown, 0),
            },
            (State::Completing(completing), request, answer) => {
                completing.answered(request, answer)
            }
            (state, ..) => state,
        };
    }

    fn measured(&mut self, tail: Option<Arc<Manifest>>, log: &Log) -> State {
        let next = tail.as_ref().map_or(0, |tail| tail.last + 1);
        self.topic_id = Some(log.topic_id.clone());
        if let Some(fault) = tail
            .as_ref()
            .and_then(|tail| made_anew(&tail.topic_id, &log.topic_id, next))
        {
            return State::Failed(fault);
        }
        if next > log.end {
            return State::Failed(Fault::LogTruncated { next, end: log.end });
        }
        match tail {
            Some(tail) => complete(tail, Step::Inspecting, ObjectState::Unknown, log.start),
            None => State::Ready {
                next: 0,
                tail: None,
                log_start: log.start,
            },
        }
    }
}

impl Completing {
    fn answered(mut self, request: &Request, answer: Answer) -> State {
        match (self.step, request, answer) {
            (
                Step::Inspecting | Step::Creating,
                Request::InspectObject(_, index),
                Answer::Object(attempt),
            ) => {
                let there = match attempt {
                    None if self.step == Step::Creating => ObjectState::Made,
                    None => ObjectState::Missing,
                    Some(attempt) if attempt == self.manifest.attempt => ObjectState::There,
                    Some(_) => {
                        let key = self
                            .manifest
                            .objects
                            .get(*index)
                            .map(|object| object.key.to_string())
                            .unwrap_or_default();
                        return State::Failed(Fault::ForeignObject { key });
                    }
                };
                set(&mut self.objects, *index, there);
            }
            (Step::ReadingBack, Request::ReadBack(..), Answer::Made(made)) => {
                made.iter()
                    .for_each(|index| set(&mut self.objects, *index, ObjectState::Made));
                self.step = Step::Checking;
            }
            (Step::Checking, Request::CheckTopic, Answer::TopicId(id)) => {
                match made_anew(&self.manifest.topic_id, &id, self.manifest.first) {
                    Some(fault) => return State::Failed(fault),
                    None => self.step = Step::Creating,
                }
            }
            (Step::Creating, Request::CreateObject(_, index), Answer::Created) => {
                set(&mut self.objects, *index, ObjectState::There)
            }
            (Step::Creating, Request::CreateObject(_, index), Answer::Refused) => {
                set(&mut self.objects, *index, ObjectState::Refused)
            }
            _ => {}
        }
        settle(self)
    }
}

fn made_anew(was: &str, now: &str, next: i64) -> Option<Fault> {
    (was != now).then(|| Fault::TopicMadeAnew {
        was: was.to_owned(),
        now: now.to_owned(),
        next,
    })
}

fn complete(manifest: Arc<Manifest>, step: Step, each: ObjectState, log_start: i64) -> State {
    let objects = vec![each; manifest.objects.len()];
    settle(Completing {
        manifest,
        step,
        objects,
        log_start,
    })
}

fn set(objects: &mut [ObjectState], index: usize, state: ObjectState) {
    if let Some(object) = objects
        .get_mut(index)
        .filter(|object| **object != ObjectState::There)
    {
        *object = state;
    }
}

/// Returns the state of a completion after an answer.
fn settle(mut this: Completing) -> State {
    if this
        .objects
        .iter()
        .all(|object| *object == ObjectState::There)
    {
        return State::Ready {
            next: this.manifest.last + 1,
            tail: Some(this.manifest.attempt.clone()),
            log_start: this.log_start,
        };
    }
    // Objects that one pass over the log did not build are built in another pass. So
    // nothing of them has to be held meanwhile.
    let waits = |object: &ObjectState| {
        matches!(
            object,
            ObjectState::Unknown | ObjectState::Made | ObjectState::Refused
        )
    };
    if matches!(this.step, Step::Inspecting | Step::Creating) && !this.objects.iter().any(waits) {
        this.step = Step::ReadingBack;
    }
    State::Completing(this)
}
