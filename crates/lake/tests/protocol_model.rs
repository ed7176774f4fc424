//! Explores every order of events that the protocol can meet, in small: two consumers
//! that may both act at any time, four offsets, batches of one or two records in one or
//! two objects. PUTs may take effect late (also after their sender died), more than once,
//! and with their answer lost; retention moves the log's start, the topic is recreated; a
//! read-back of the log comes whole, for one object only, or short, and an operator may
//! give up the records that do not come. `lake::Protocol` is the machine that
//! `tick-consumer` runs, and `lake::Repair` judges the records that were read back; only
//! the world around them is made up.
//!
//! The second half breaks the world or the drive in the ways in which such a sink is
//! usually wrong, and expects the checker to find each.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::{Arc, LazyLock};

use lake::{
    Answer, Fault, How, Log, Manifest, ManifestObject, ObjectKey, OffsetRuns, Protocol, Record,
    Repair, Request, Room, Standing,
};
use stateright::{Checker, HasDiscoveries, Model, Property};

const END: i64 = 4;
/// Ways to seal: records, and objects they go to. Differing configurations, formats and
/// versions of two consumers come to this.
const WAYS: [(i64, usize); 3] = [(1, 1), (2, 1), (2, 2)];

const TWICE: &str = "no offset is in two objects";
const CHANGED: &str = "nothing that was created changes";
const MIXED: &str = "all manifests are of one topic";
const INCOMPLETE: &str = "no offset is passed over, and nobody seals behind an incomplete manifest";

/// The fault of a broken world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    ManifestUnconditional,
    ObjectUnconditional,
    FollowWithoutCompleting,
    NextManifestEarly,
    NoncePerProcess,
    ManifestDeleted,
    ShortReadBelieved,
}

/// The number of times that each fault happens.
#[derive(Debug, Clone, Copy)]
struct World {
    bug: Bug,
    crashes: u8,
    restarts: u8,
    retention: i64,
    made_anew: bool,
    /// The log may give less than it has: a new leader knows of a lower end for a while.
    comes_short: bool,
    /// How often an operator gives up the records that do not come.
    skips: u8,
}

/// Stands for an object's key: first and last offset of its batch, and its place in it.
type Place = (i64, i64, usize);

/// A record: which making of the topic, and its offset.
type Rec = (u8, i64);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Stored {
    attempt: String,
    records: BTreeSet<Rec>,
    lost_below: i64,
    skipped: u64,
}

/// The records that a consumer has read: those of the batch that it seals, or of objects
/// that it makes again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Read {
    records: BTreeSet<Rec>,
    /// The log's start at that time.
    start: i64,
    gives_up: bool,
}

/// A PUT that is on its way. Stays there after it has arrived: it may arrive again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Envelope {
    sender: usize,
    life: u8,
    request: Request,
    stored: Option<Stored>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Consumer {
    /// Counts crashes and restarts: makes attempts unique.
    life: u8,
    /// Counts crashes.
    process: u8,
    protocol: Protocol,
    read: Option<Read>,
    /// Requests on their way that it still waits for.
    waiting: Vec<Request>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    making: u8,
    starts: [i64; 2],
    manifests: BTreeMap<i64, Arc<Manifest>>,
    objects: BTreeMap<Place, Stored>,
    network: Vec<Envelope>,
    consumers: [Consumer; 2],
    crashes: u8,
    restarts: u8,
    skips: u8,
    changed: bool,
    deleted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Action {
    /// A read, or a PUT that is sent.
    Do(usize, Request),
    /// A consumer reads back, and has room for the first of the missing objects only.
    ReadOneBack(usize, Request),
    /// A consumer reads back, and only the records before this offset come.
    ReadShort(usize, Request, i64),
    /// The same, and an operator gives up the rest.
    Skip(usize, Request, i64),
    /// A consumer reads a batch and begins to seal it, or registers a gap.
    Seal(usize, usize),
    /// A PUT takes effect, and its sender learns of it if it still waits.
    Arrive(usize),
    /// A PUT takes effect; the answer is lost and the PUT may arrive again.
    ArriveUnheard(usize),
    /// A sender gives up waiting for an answer.
    GiveUp(usize, Request),
    /// kill -9 and a new process.
    Crash(usize),
    /// The partition is taken away and given back.
    Restart(usize),
    /// Retention removes the oldest record.
    Retain,
    /// The topic is deleted and recreated, with as many records.
    MakeAnew,
    /// Somebody deletes the manifest.
    Delete(i64),
}

fn topic_id(making: u8) -> String {
    format!("topic{making}")
}

fn making_of(manifest: &Manifest) -> u8 {
    u8::from(manifest.topic_id == topic_id(1))
}

fn fresh(life: u8, process: u8) -> Consumer {
    Consumer {
        life,
        process,
        protocol: Protocol::new(),
        read: None,
        waiting: Vec::new(),
    }
}

/// Any order of the network will do, if it is always the same.
fn fingerprint(envelope: &Envelope) -> u64 {
    let mut hasher = DefaultHasher::new();
    envelope.hash(&mut hasher);
    hasher.finish()
}

fn is_put(request: &Request) -> bool {
    matches!(
        request,
        Request::CreateManifest(_) | Request::CreateObject(..)
    )
}

/// The contents of a manifest's object made from records that were read; those below the
/// log's start at that time were lost.
fn contents(manifest: &Manifest, index: usize, read: &Read) -> Stored {
    let offsets = &manifest.objects[index].offsets;
    let records: BTreeSet<Rec> = read
        .records
        .iter()
        .filter(|(_, offset)| offsets.contains(*offset))
        .copied()
        .collect();
    let skipped = if read.gives_up {
        offsets.from(read.start).count() - records.len() as u64
    } else {
        0
    };
    Stored {
        attempt: manifest.attempt.clone(),
        records,
        lost_below: if read.start > manifest.first {
            read.start
        } else {
            0
        },
        skipped,
    }
}

/// Returns whether the repair that `tick-consumer` runs makes objects of the records that
/// were read back.
fn is_taken(manifest: &Arc<Manifest>, objects: &[usize], read: &Read) -> bool {
    let room = Room {
        for_all: u64::MAX,
        for_one: u64::MAX,
    };
    let mut repair = Repair::new(
        Arc::clone(manifest),
        objects,
        How {
            log_start: read.start,
            gives_up: read.gives_up,
            room,
        },
    );
    let tick = br#"{"symbol":"A","event_time":0,"price":1}"#;
    let record = |offset| Record {
        offset,
        value: Some(tick),
        ..Record::default()
    };
    read.records
        .iter()
        .all(|(_, offset)| repair.push(&record(*offset)).is_ok())
        && repair.objects().is_ok()
}

/// Object keys, made once: the topic's name in them would be the same, so the making
/// stands for nothing.
static KEYS: LazyLock<BTreeMap<(i64, i64, usize), ObjectKey>> = LazyLock::new(|| {
    let mut keys = BTreeMap::new();
    for first in 0..END {
        for last in first..END {
            for index in 0..2usize {
                let key =
                    format!("ticks/dt=1970-01-01/hr=0{index}/t-0-{first:020}-{last:020}.parquet");
                keys.insert((first, last, index), ObjectKey::parse(&key).expect("a key"));
            }
        }
    }
    keys
});

impl World {
    fn quiet() -> Self {
        Self {
            bug: Bug::None,
            crashes: 0,
            restarts: 0,
            retention: 0,
            made_anew: false,
            comes_short: false,
            skips: 0,
        }
    }

    /// Returns a sealed batch's manifest.
    fn manifest(
        &self,
        consumer: usize,
        life: u8,
        id: &str,
        first: i64,
        (rows, objects): (i64, usize),
    ) -> Manifest {
        let last = first + rows - 1;
        let mut manifest = Manifest::of_gap(
            "t",
            id,
            0,
            (first, last),
            lake::GapReason::Skipped,
            format!("c{consumer}l{life}"),
        );
        manifest.gap = None;
        manifest.objects = (0..objects)
            .map(|index| {
                let (from, to) = if objects == 1 {
                    (first, last)
                } else {
                    (first + index as i64, first + index as i64)
                };
                ManifestObject {
                    key: KEYS[&(first, last, index)].clone(),
                    offsets: OffsetRuns::run(from, to),
                }
            })
            .collect();
        manifest
    }

    /// S3 takes a PUT. Returns whether it was created.
    fn take(&self, state: &mut State, envelope: &Envelope) -> bool {
        match &envelope.request {
            Request::CreateManifest(manifest) => {
                let there = state.manifests.get(&manifest.first);
                let refuse = there.is_some() && self.bug != Bug::ManifestUnconditional;
                if !refuse {
                    state.changed |= there.is_some_and(|there| there != manifest);
                    state.manifests.insert(manifest.first, Arc::clone(manifest));
                }
                !refuse
            }
            Request::CreateObject(manifest, index) => {
                let place = (manifest.first, manifest.last, *index);
                let there = state.objects.get(&place);
                let refuse = there.is_some() && self.bug != Bug::ObjectUnconditional;
                let stored = envelope.stored.clone().expect("an object has contents");
                if !refuse {
                    state.changed |= there.is_some_and(|there| *there != stored);
                    state.objects.insert(place, stored);
                }
                !refuse
            }
            _ => unreachable!("only PUTs travel"),
        }
    }

    /// Returns the answer to a read, which takes effect at once: its result may still
    /// come late.
    fn read(&self, state: &mut State, consumer: usize, request: &Request) -> Answer {
        match request {
            Request::FindTail => Answer::Manifest(
                state
                    .manifests
                    .last_key_value()
                    .map(|(_, manifest)| Arc::clone(manifest)),
            ),
            Request::LookAtLog => Answer::Log(Log {
                topic_id: topic_id(state.making),
                start: state.starts[usize::from(state.making)],
                end: END,
            }),
            Request::CheckTopic => Answer::TopicId(topic_id(state.making)),
            Request::ReadManifest(first) => {
                let found = state.manifests.get(first).cloned();
                // The bug: a manifest with this process's nonce is taken for the one that
                // it is sealing now.
                let nonce =
                    |manifest: &Manifest| manifest.attempt.starts_with(&format!("c{consumer}"));
                if self.bug == Bug::NoncePerProcess
                    && state.consumers[consumer].process == 0
                    && found.as_deref().is_some_and(nonce)
                    && let Some(own) = registering(&state.consumers[consumer], *first)
                {
                    return Answer::Manifest(Some(own));
                }
                Answer::Manifest(found)
            }
            Request::InspectObject(manifest, _) if self.bug == Bug::FollowWithoutCompleting => {
                Answer::Object(Some(manifest.attempt.clone()))
            }
            Request::InspectObject(manifest, index) => Answer::Object(
                state
                    .objects
                    .get(&(manifest.first, manifest.last, *index))
                    .map(|stored| stored.attempt.clone()),
            ),
            Request::ReadBack(manifest, missing) => {
                let read = self.read_back(state, manifest, missing, manifest.last + 1);
                state.consumers[consumer].read = Some(read);
                Answer::Made(missing.clone())
            }
            _ => unreachable!("PUTs travel"),
        }
    }

    /// Reads from the log the records of some objects that it still has, before an
    /// offset.
    fn read_back(
        &self,
        state: &State,
        manifest: &Manifest,
        objects: &[usize],
        before: i64,
    ) -> Read {
        let start = state.starts[usize::from(state.making)];
        let of = |index: &usize| {
            manifest.objects[*index]
                .offsets
                .from(start)
                .offsets()
                .collect::<Vec<_>>()
        };
        let offsets = objects
            .iter()
            .flat_map(of)
            .filter(|offset| *offset < before);
        Read {
            records: offsets.map(|offset| (state.making, offset)).collect(),
            start,
            gives_up: false,
        }
    }

    /// Runs one consumer alone, every request answered at once; returns whether it lands
    /// the log or stops for a reason that an operator has to know.
    fn reaches_the_end(&self, state: &State, consumer: usize) -> bool {
        let mut state = state.clone();
        state.network.clear();
        for _ in 0..80 {
            match state.consumers[consumer].protocol.standing() {
                Standing::Ready { next, .. } if next == END => return true,
                Standing::Failed(Fault::TopicMadeAnew { .. }) => return self.made_anew,
                Standing::Failed(_) => return false,
                Standing::Ready { .. } | Standing::Gap { .. } => self.seal(&mut state, consumer, 0),
                Standing::Busy => {
                    let request = state.consumers[consumer].protocol.requests().swap_remove(0);
                    let answer = if is_put(&request) {
                        let envelope = self.envelope(&state, consumer, &request);
                        if self.take(&mut state, &envelope) {
                            Answer::Created
                        } else {
                            Answer::Refused
                        }
                    } else {
                        self.read(&mut state, consumer, &request)
                    };
                    state.consumers[consumer].protocol.answer(&request, answer);
                }
            }
        }
        false
    }

    fn envelope(&self, state: &State, sender: usize, request: &Request) -> Envelope {
        let consumer = &state.consumers[sender];
        let stored = match request {
            Request::CreateObject(manifest, index) => consumer
                .read
                .as_ref()
                .map(|read| contents(manifest, *index, read)),
            _ => None,
        };
        Envelope {
            sender,
            life: consumer.life,
            request: request.clone(),
            stored,
        }
    }

    fn seal(&self, state: &mut State, index: usize, way: usize) {
        let (making, start) = (state.making, state.starts[usize::from(state.making)]);
        let consumer = &mut state.consumers[index];
        let id = consumer.protocol.topic_id().unwrap_or_default().to_owned();
        let manifest = match consumer.protocol.standing() {
            Standing::Gap {
                first,
                last,
                reason,
            } => Manifest::of_gap(
                "t",
                &id,
                0,
                (first, last),
                reason,
                format!("c{index}l{}", consumer.life),
            ),
            Standing::Ready { next, .. } if next < start => {
                consumer.protocol.restart();
                consumer.read = None;
                return;
            }
            Standing::Ready { next, .. } => {
                let rows = WAYS[way].0.min(END - next);
                let way = if rows < WAYS[way].0 {
                    WAYS[0]
                } else {
                    WAYS[way]
                };
                let records = (next..next + rows).map(|offset| (making, offset)).collect();
                consumer.read = Some(Read {
                    records,
                    start: 0,
                    gives_up: false,
                });
                self.manifest(index, consumer.life, &id, next, way)
            }
            _ => return,
        };
        consumer.waiting.clear();
        consumer
            .protocol
            .seal(Arc::new(manifest))
            .expect("its turn");
    }

    /// PUTs that can change nothing any more and whom nobody waits for are forgotten,
    /// which keeps the world small.
    fn tidy(&self, state: &mut State) {
        for consumer in &mut state.consumers {
            let open = consumer.protocol.requests();
            consumer.waiting.retain(|request| open.contains(request));
        }
        let State {
            network,
            manifests,
            objects,
            consumers,
            ..
        } = state;
        network.retain(|envelope| {
            let sender = &consumers[envelope.sender];
            let awaited =
                sender.life == envelope.life && sender.waiting.contains(&envelope.request);
            let inert = match (&envelope.request, self.bug) {
                (
                    Request::CreateManifest(manifest),
                    Bug::None
                    | Bug::FollowWithoutCompleting
                    | Bug::NextManifestEarly
                    | Bug::NoncePerProcess,
                ) => manifests.contains_key(&manifest.first),
                (Request::CreateObject(manifest, index), bug)
                    if bug != Bug::ObjectUnconditional =>
                {
                    objects.contains_key(&(manifest.first, manifest.last, *index))
                }
                _ => false,
            };
            awaited || !inert
        });
        network.sort_by_cached_key(fingerprint);
    }
}

/// The manifest that a consumer is registering at `first`.
fn registering(consumer: &Consumer, first: i64) -> Option<Arc<Manifest>> {
    let mut probe = consumer.protocol.clone();
    // If the register is empty, the machine sends its manifest again.
    probe.answer(&Request::ReadManifest(first), Answer::Manifest(None));
    probe
        .requests()
        .into_iter()
        .find_map(|request| match request {
            Request::CreateManifest(manifest) => Some(manifest),
            _ => None,
        })
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let consumers = [fresh(0, 0), fresh(0, 0)];
        vec![State {
            making: 0,
            starts: [0, 0],
            manifests: BTreeMap::new(),
            objects: BTreeMap::new(),
            network: Vec::new(),
            consumers,
            crashes: self.crashes,
            restarts: self.restarts,
            skips: self.skips,
            changed: false,
            deleted: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (index, consumer) in state.consumers.iter().enumerate() {
            for request in consumer.protocol.requests() {
                if let Request::ReadBack(manifest, missing) = &request {
                    if missing.len() > 1 {
                        actions.push(Action::ReadOneBack(index, request.clone()));
                    }
                    for before in manifest.first..=manifest.last {
                        if self.comes_short {
                            actions.push(Action::ReadShort(index, request.clone(), before));
                        }
                        if state.skips > 0 {
                            actions.push(Action::Skip(index, request.clone(), before));
                        }
                    }
                }
                match consumer.waiting.contains(&request) {
                    true => actions.push(Action::GiveUp(index, request)),
                    false => actions.push(Action::Do(index, request)),
                }
            }
            match consumer.protocol.standing() {
                Standing::Ready { next, .. } if next < END => {
                    actions.extend((0..WAYS.len()).map(|way| Action::Seal(index, way)))
                }
                Standing::Gap { .. } => actions.push(Action::Seal(index, 0)),
                _ => {}
            }
            if state.crashes > 0 {
                actions.push(Action::Crash(index));
            }
            if state.restarts > 0 {
                actions.push(Action::Restart(index));
            }
        }
        for envelope in 0..state.network.len() {
            actions.push(Action::Arrive(envelope));
            actions.push(Action::ArriveUnheard(envelope));
        }
        if state.making == 0 && state.starts[0] < self.retention {
            actions.push(Action::Retain);
        }
        if state.making == 0 && self.made_anew {
            actions.push(Action::MakeAnew);
        }
        if self.bug == Bug::ManifestDeleted && !state.deleted {
            actions.extend(state.manifests.keys().map(|first| Action::Delete(*first)));
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Do(index, request) if is_put(&request) => {
                let envelope = self.envelope(&state, index, &request);
                if !state.network.contains(&envelope) {
                    state.network.push(envelope);
                }
                // The bug: the next manifest may go out while objects are still on their
                // way.
                match (&request, self.bug) {
                    (Request::CreateObject(..), Bug::NextManifestEarly) => state.consumers[index]
                        .protocol
                        .answer(&request, Answer::Created),
                    _ => state.consumers[index].waiting.push(request),
                }
            }
            Action::Do(index, request) => {
                let answer = self.read(&mut state, index, &request);
                state.consumers[index].protocol.answer(&request, answer);
            }
            Action::ReadOneBack(index, request) => {
                let Request::ReadBack(manifest, missing) = &request else {
                    return None;
                };
                let read = self.read_back(&state, manifest, &missing[..1], manifest.last + 1);
                state.consumers[index].read = Some(read);
                state.consumers[index]
                    .protocol
                    .answer(&request, Answer::Made(vec![missing[0]]));
            }
            Action::ReadShort(index, request, before) => {
                let Request::ReadBack(manifest, missing) = &request else {
                    return None;
                };
                let read = self.read_back(&state, manifest, missing, before);
                // Records that are not taken are read again.
                if self.bug == Bug::ShortReadBelieved || is_taken(manifest, missing, &read) {
                    state.consumers[index].read = Some(read);
                    state.consumers[index]
                        .protocol
                        .answer(&request, Answer::Made(missing.clone()));
                }
            }
            Action::Skip(index, request, before) => {
                let Request::ReadBack(manifest, missing) = &request else {
                    return None;
                };
                let read = Read {
                    gives_up: true,
                    ..self.read_back(&state, manifest, missing, before)
                };
                if is_taken(manifest, missing, &read) {
                    state.skips -= 1;
                    state.consumers[index].read = Some(read);
                    state.consumers[index]
                        .protocol
                        .answer(&request, Answer::Made(missing.clone()));
                }
            }
            Action::Seal(index, way) => self.seal(&mut state, index, way),
            Action::Arrive(envelope) => {
                let envelope = state.network.remove(envelope);
                let created = self.take(&mut state, &envelope);
                let sender = &mut state.consumers[envelope.sender];
                if sender.life == envelope.life && sender.waiting.contains(&envelope.request) {
                    sender
                        .waiting
                        .retain(|request| *request != envelope.request);
                    sender.protocol.answer(
                        &envelope.request,
                        if created {
                            Answer::Created
                        } else {
                            Answer::Refused
                        },
                    );
                }
            }
            Action::ArriveUnheard(envelope) => {
                let envelope = state.network[envelope].clone();
                self.take(&mut state, &envelope);
            }
            Action::GiveUp(index, request) => {
                state.consumers[index]
                    .waiting
                    .retain(|waiting| *waiting != request);
                state.consumers[index]
                    .protocol
                    .answer(&request, Answer::Refused);
            }
            Action::Crash(index) => {
                state.crashes -= 1;
                let Consumer { life, process, .. } = state.consumers[index];
                state.consumers[index] = fresh(life + 1, process + 1);
            }
            Action::Restart(index) => {
                state.restarts -= 1;
                let Consumer { life, process, .. } = state.consumers[index];
                state.consumers[index] = fresh(life + 1, process);
            }
            Action::Retain => state.starts[0] += 1,
            Action::MakeAnew => state.making = 1,
            Action::Delete(first) => {
                state.manifests.remove(&first);
                state.deleted = true;
            }
        }
        self.tidy(&mut state);
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(TWICE, |_, state: &State| {
                let mut seen = BTreeSet::new();
                state
                    .objects
                    .values()
                    .flat_map(|stored| &stored.records)
                    .all(|record| seen.insert(*record))
            }),
            Property::always(CHANGED, |_, state: &State| !state.changed),
            Property::always(MIXED, |_, state: &State| {
                let mut ids = state.manifests.values().map(|manifest| &manifest.topic_id);
                let first = ids.next();
                ids.all(|id| Some(id) == first)
            }),
            Property::always(INCOMPLETE, |world: &World, state: &State| {
                let mut next = 0;
                for manifest in state.manifests.values() {
                    if manifest.first != next {
                        return false;
                    }
                    next = manifest.last + 1;
                    let newest = state.manifests.range(next..).next().is_none();
                    if !(newest || complete(world, state, manifest)) {
                        return false;
                    }
                }
                // Who is ready has completed everything below.
                state
                    .consumers
                    .iter()
                    .all(|consumer| match consumer.protocol.standing() {
                        Standing::Ready { next, .. } => {
                            state
                                .manifests
                                .range(..next)
                                .all(|(_, manifest)| complete(world, state, manifest))
                                && state
                                    .manifests
                                    .range(..next)
                                    .next_back()
                                    .map_or(0, |(_, tail)| tail.last + 1)
                                    == next
                        }
                        _ => true,
                    })
            }),
            Property::always(
                "a consumer alone reaches the log's end",
                |world: &World, state: &State| {
                    // A bug has to be found by its effect on the lake.
                    world.bug != Bug::None
                        || (0..2).all(|consumer| world.reaches_the_end(state, consumer))
                },
            ),
            Property::sometimes("all is landed", |_, state: &State| {
                state.manifests.values().map(|manifest| manifest.last).max() == Some(END - 1)
            }),
        ]
    }
}

/// Whether the lake has a manifest's objects, with the records of its topic and nothing
/// else, but for those that retention had removed, and those that an operator gave up and
/// that are counted.
fn complete(world: &World, state: &State, manifest: &Manifest) -> bool {
    let making = making_of(manifest);
    let start = state.starts[usize::from(making)];
    if manifest.gap.is_some() {
        return manifest.last < start;
    }
    manifest.objects.iter().enumerate().all(|(index, object)| {
        state
            .objects
            .get(&(manifest.first, manifest.last, index))
            .is_some_and(|stored| {
                let wanted: BTreeSet<Rec> = object
                    .offsets
                    .from(stored.lost_below)
                    .offsets()
                    .map(|offset| (making, offset))
                    .collect();
                let is_whole = stored.records.is_subset(&wanted)
                    && stored.records.len() as u64 + stored.skipped == wanted.len() as u64;
                let was_skipped = stored.skipped == 0 || state.skips < world.skips;
                stored.lost_below <= start
                    && is_whole
                    && was_skipped
                    && stored.attempt == manifest.attempt
            })
    })
}

/// Explores a world that is as it should be to its end, and expects every property to
/// hold.
fn holds(name: &str, world: World) {
    let checker = world
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    println!(
        "{name}: {} states, depth {}",
        checker.unique_state_count(),
        checker.max_depth()
    );
    for (property, path) in checker.discoveries() {
        assert_eq!(
            property,
            "all is landed",
            "{name}: {property} is broken by\n{}",
            path.into_actions()
                .iter()
                .map(|action| format!("{action:?}\n"))
                .collect::<String>()
        );
    }
    checker.assert_properties();
}

/// Expects the checker to find a bug's effect.
fn finds(bug: Bug, broken: &'static str, world: World) {
    let world = World { bug, ..world };
    let checker = world
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AllOf(BTreeSet::from([broken])))
        .spawn_bfs()
        .join();
    println!("{bug:?}: {} states", checker.unique_state_count());
    assert!(
        checker.discovery(broken).is_some(),
        "{bug:?} was not found in {} states",
        checker.unique_state_count()
    );
}

/// A partition that is taken away and given back to the same process is the same to the
/// protocol.
#[test]
fn holds_with_a_crash_late_or_repeated_puts_and_short_reads() {
    holds(
        "one crash",
        World {
            crashes: 1,
            comes_short: true,
            ..World::quiet()
        },
    );
}

#[test]
fn holds_when_retention_moves_the_logs_start() {
    holds(
        "retention",
        World {
            retention: 2,
            ..World::quiet()
        },
    );
}

#[test]
fn holds_when_the_topic_is_made_anew() {
    holds(
        "topic recreated",
        World {
            made_anew: true,
            ..World::quiet()
        },
    );
}

/// A consumer that is alive may complete the same batch at the same time.
#[test]
fn holds_when_an_operator_gives_up_what_cannot_be_read_back() {
    holds(
        "skipped",
        World {
            skips: 1,
            ..World::quiet()
        },
    );
}

#[test]
fn finds_a_short_read_that_is_believed() {
    finds(
        Bug::ShortReadBelieved,
        INCOMPLETE,
        World {
            comes_short: true,
            ..World::quiet()
        },
    );
}

#[test]
fn finds_a_manifest_that_is_put_unconditionally() {
    finds(Bug::ManifestUnconditional, TWICE, World::quiet());
}

#[test]
fn finds_an_object_that_is_put_unconditionally() {
    // Two consumers complete one manifest, the second after retention has taken a record.
    finds(
        Bug::ObjectUnconditional,
        CHANGED,
        World {
            retention: 1,
            ..World::quiet()
        },
    );
}

#[test]
fn finds_following_without_completing() {
    finds(Bug::FollowWithoutCompleting, INCOMPLETE, World::quiet());
}

#[test]
fn finds_the_next_manifest_sent_early() {
    finds(Bug::NextManifestEarly, INCOMPLETE, World::quiet());
}

#[test]
fn finds_ownership_by_a_nonce_per_process() {
    finds(
        Bug::NoncePerProcess,
        INCOMPLETE,
        World {
            restarts: 1,
            ..World::quiet()
        },
    );
}

#[test]
fn finds_a_deleted_manifest() {
    finds(Bug::ManifestDeleted, TWICE, World::quiet());
}
