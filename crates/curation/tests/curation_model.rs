//! Explores every order of events that curating an hour can meet, in small. Any number of
//! planners and workers look at any time and act on their views at any later time, or
//! never: a PUT or a change of the catalog stays on its way until it takes effect, also
//! after its sender died, and a change of the catalog may take effect again. Raw objects
//! land late and expire; units are given up. `planner::next` and `worker::next` are the
//! functions that the Lambda function runs; only the world around them is made up.
//!
//! The second half breaks a rule of the protocol and expects the checker to find each.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use curation::{
    BYTES_PER_UNIT, HourView, Move, Outcome, OutputKey, Plan, Pointer, Pointers, RawObject, Reason,
    Register, Registers, Rules, Summary, Table, Version, planner, worker,
};
use jiff::Timestamp;
use lake_layout::{LakePartition, ObjectKey};
use stateright::{Checker, HasDiscoveries, Model, Property};

/// The raw objects that may land.
const OBJECTS: usize = 3;
/// Each raw object has a tick of each symbol. Unit k of n has symbol s if s mod n is k.
const SYMBOLS: usize = 2;

const WHOLE: &str = "each version that the catalog names is whole";
const KEPT: &str = "no committed version lacks an input of an earlier one";
const CATCHES_UP: &str = "a quiet planner ends with all raw objects in the newest version";
const SUCCEEDS: &str = "all raw objects are curated by two versions";

/// The rule that a world breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// A worker sets the pointer with its own output.
    PointerBeforeAllParts,
    /// A plan has raw objects that its base has read.
    RawObjectsAgain,
    /// A plan has no base.
    BuiltFromRawObjectsOnly,
    /// A unit is given up without the register.
    GiveUpWithoutRegister,
    /// An abandoned version is planned again under its number.
    VersionReused,
    /// Only workers change the catalog.
    PointerNeverMended,
    /// A worker commits after its own unit.
    CommitWithoutLooking,
    /// A plan replaces the one that exists.
    PlanUnconditional,
    /// An outcome replaces the one that exists.
    OutcomeUnconditional,
    /// A worker takes a missing input for an empty one.
    MissingInputIgnored,
}

/// The number of times that each thing happens.
#[derive(Debug, Clone, Copy)]
struct World {
    bug: Bug,
    /// Raw objects that land, the first from the beginning on.
    objects: usize,
    /// The size of a raw object decides how many units a plan has.
    object_bytes: u64,
    /// How often a planner goes by an earlier listing of the raw objects.
    stale_listings: u8,
    expiries: u8,
    give_ups: u8,
    /// Units are given up because of their size; otherwise for an unreadable object.
    is_size: bool,
    /// The tables' partitions change one by one; otherwise at once, in a smaller world.
    moves_apart: bool,
}

/// How often an output has each object's tick of each symbol.
type Ticks = [[u8; SYMBOLS]; OBJECTS];

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Curated {
    plan: Arc<Plan>,
    is_sent: bool,
    outcome: Option<Outcome>,
    /// It was given up without the register.
    is_given_up: bool,
    is_superseded: bool,
    outputs: BTreeMap<OutputKey, Ticks>,
}

impl Curated {
    fn is_committed(&self) -> bool {
        self.outcome.as_ref().is_some_and(Outcome::is_committed)
    }
}

/// The outcome of a whole version. Mails alone read its summary, so it is left empty.
fn committed() -> Outcome {
    Outcome::Committed {
        base: None,
        summary: Summary::default(),
    }
}

/// A request that is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Effect {
    CreatePlan(Arc<Plan>),
    /// The two outputs of a unit, which take effect one by one.
    CreateOutputs([OutputKey; 2], Ticks),
    CreateOutcome(u32, Outcome),
    /// Stays on its way after it has taken effect: it may do so again.
    Point(Vec<Table>, u32),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    /// Those that exist.
    raw: BTreeSet<usize>,
    landed: usize,
    /// The raw objects that a planner may have listed, earlier or now.
    listings: BTreeSet<BTreeSet<usize>>,
    versions: Vec<Curated>,
    /// Of `curated_ticks` and `bars_1m`.
    pointers: [Option<u32>; 2],
    network: Vec<Effect>,
    stale_listings: u8,
    expiries: u8,
    give_ups: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Action {
    /// A planner that has listed these raw objects looks at the rest, and sends the requests
    /// that are due; Glue may not answer it.
    Plan(BTreeSet<usize>, bool),
    /// A worker looks for a unit of the newest version, and sends the requests that are due.
    Work(u32),
    /// A worker gives a unit up.
    GiveUp(u32),
    /// A request takes effect.
    Arrive(usize),
    /// The first or second output of a request is created.
    ArrivePart(usize, usize),
    Land,
    Expire(usize),
}

static HOUR: LazyLock<LakePartition> =
    LazyLock::new(|| LakePartition::parse("1970-01-01", "00").expect("an hour"));

static KEYS: LazyLock<Vec<ObjectKey>> = LazyLock::new(|| {
    let key = |object: usize| format!("ticks/{}/t-0-{object:020}-{object:020}.parquet", *HOUR);
    let keys = (0..OBJECTS).map(|object| ObjectKey::parse(&key(object)).expect("a key"));
    keys.collect()
});

/// Long after everything that happens.
const NOW: Timestamp = Timestamp::constant(10_000_000, 0);

const RULES: Rules = Rules {
    grace: Duration::from_secs(600),
    through: None,
    force: false,
    retire_after: Duration::ZERO,
};

fn object_of(key: &ObjectKey) -> usize {
    KEYS.iter().position(|known| known == key).expect("known")
}

/// The outcome of a version if somebody has overwritten an input, and restores it later.
fn overwritten(unit: u32) -> Outcome {
    let reason = Reason::Unreadable {
        key: KEYS[0].to_string(),
        problem: "no Parquet".to_owned(),
    };
    Outcome::Abandoned { unit, reason }
}

/// Any order of the network will do, if it is always the same.
fn fingerprint(effect: &Effect) -> u64 {
    let mut hasher = DefaultHasher::new();
    effect.hash(&mut hasher);
    hasher.finish()
}

impl State {
    fn newest(&self) -> Option<&Curated> {
        self.versions.last()
    }

    fn version(&mut self, version: u32) -> &mut Curated {
        &mut self.versions[version as usize]
    }

    /// The objects of a version and of those that it builds on, each as often as they have
    /// it.
    fn chain(&self, version: &Curated) -> [u8; OBJECTS] {
        let mut objects = [0; OBJECTS];
        let mut next = Some(version);
        while let Some(version) = next {
            for key in version.plan.inputs() {
                objects[object_of(key)] += 1;
            }
            let base = version.plan.base();
            next = base.map(|base| &self.versions[base.version as usize]);
        }
        objects
    }

    /// Returns whether a version is committed, and a table has each tick of its inputs once.
    fn is_whole(&self, version: &Curated, table: Table) -> bool {
        let mut ticks: Ticks = Default::default();
        let outputs = || version.plan.outputs().filter(|key| key.table == table);
        for found in outputs().filter_map(|key| version.outputs.get(&key)) {
            for (ticks, found) in ticks.iter_mut().flatten().zip(found.iter().flatten()) {
                *ticks += found;
            }
        }
        let wanted = self.chain(version).map(|count| [count.min(1); SYMBOLS]);
        version.is_committed()
            && outputs().all(|key| version.outputs.contains_key(&key))
            && ticks == wanted
    }
}

impl World {
    fn quiet() -> Self {
        Self {
            bug: Bug::None,
            objects: 2,
            object_bytes: 1,
            stale_listings: 2,
            expiries: 0,
            give_ups: 0,
            is_size: false,
            moves_apart: false,
        }
    }

    /// Returns the view of a planner or worker who has listed these raw objects.
    fn look(&self, state: &State, raw: &BTreeSet<usize>, is_planner: bool) -> HourView {
        let version = |(index, version): (usize, &Curated)| {
            let written = version.outcome.clone();
            let has_next = index + 1 < state.versions.len();
            // The bug: planners believe those who have given up.
            let believes = is_planner || (has_next && written.is_none());
            Version {
                plan: Plan::clone(&version.plan),
                sent: version
                    .is_sent
                    .then_some(Timestamp::UNIX_EPOCH)
                    .into_iter()
                    .collect(),
                outcome: match version.is_given_up && believes {
                    true => Some(overwritten(0)),
                    false => written,
                },
                decided: Some(Timestamp::UNIX_EPOCH),
                is_superseded: version.is_superseded,
            }
        };
        let versions = state.versions.iter().enumerate().map(version).collect();
        let pointer = |pointer: Option<u32>| pointer.map_or(Pointer::Absent, Pointer::Version);
        let raw = raw.iter().map(|object| RawObject {
            key: KEYS[*object].clone(),
            bytes: self.object_bytes,
            created: Timestamp::UNIX_EPOCH,
        });
        HourView {
            hour: *HOUR,
            pointers: Some(Pointers {
                ticks: pointer(state.pointers[0]),
                bars: pointer(state.pointers[1]),
            }),
            raw: raw.collect(),
            registers: Registers::of(versions).expect("no hole"),
            outputs: state
                .newest()
                .map(|version| version.outputs.keys().copied().collect())
                .unwrap_or_default(),
        }
    }

    fn plan_step(&self, state: &State, raw: &BTreeSet<usize>, glue_answers: bool) -> planner::Step {
        let mut view = self.look(state, raw, true);
        // The bug: the planner leaves the catalog to the workers.
        if self.bug == Bug::PointerNeverMended || !glue_answers {
            view.pointers = None;
        }
        planner::next(&view, &RULES, NOW)
    }

    /// Does a planner's steps until it sends something or is done; returns its requests.
    /// Marks take effect at once.
    fn plan(
        &self,
        state: &mut State,
        raw: &BTreeSet<usize>,
        glue_answers: bool,
    ) -> (planner::Step, Vec<Effect>) {
        loop {
            let step = self.plan_step(state, raw, glue_answers);
            let effects = match &step {
                planner::Step::Point(moves) => self.points(moves),
                planner::Step::Retire(version) => {
                    state.version(*version).is_superseded = true;
                    continue;
                }
                planner::Step::CreatePlan(plan) => {
                    vec![Effect::CreatePlan(Arc::new(self.broken(state, raw, plan)))]
                }
                planner::Step::Send { tasks, .. } => {
                    state.version(tasks[0].version).is_sent = true;
                    Vec::new()
                }
                planner::Step::Commit(version) => {
                    vec![Effect::CreateOutcome(*version, committed())]
                }
                planner::Step::Working(_)
                | planner::Step::NotClosed(_)
                | planner::Step::Stuck { .. }
                | planner::Step::Curated => Vec::new(),
            };
            return (step, effects);
        }
    }

    /// Returns the plan that a planner with a bug makes instead.
    fn broken(&self, state: &State, raw: &BTreeSet<usize>, plan: &Plan) -> Plan {
        let mut body: serde_json::Value =
            serde_json::from_slice(&plan.to_json().expect("JSON")).expect("JSON");
        let mut key = plan.register(Register::Plan);
        if matches!(
            self.bug,
            Bug::RawObjectsAgain | Bug::BuiltFromRawObjectsOnly
        ) {
            let ranges: Vec<_> = raw.iter().map(|object| [object, object]).collect();
            body["content"]["inputs"][0]["ranges"] = serde_json::json!(ranges);
        }
        if self.bug == Bug::BuiltFromRawObjectsOnly {
            body["content"]["base"] = serde_json::Value::Null;
        }
        let newest = state.newest().and_then(|version| version.outcome.as_ref());
        if self.bug == Bug::VersionReused && matches!(newest, Some(Outcome::Abandoned { .. })) {
            key.version -= 1;
            body["version"] = serde_json::json!(key.version);
        }
        Plan::from_json(&key, body.to_string().as_bytes()).expect("a plan")
    }

    /// Does a worker's step for a unit of the newest version; returns its requests.
    fn work(&self, state: &State, unit: u32, receives: u32) -> (worker::Step, Vec<Effect>) {
        let Some(newest) = state.newest() else {
            return (worker::Step::Done, Vec::new());
        };
        let task = newest.plan.task(unit);
        let mut view = self.look(state, &BTreeSet::new(), false);
        // The bug: who has created its own output takes the others for granted.
        let own = newest.plan.outputs_of(unit);
        if self.bug == Bug::CommitWithoutLooking && own.iter().all(|key| view.outputs.contains(key))
        {
            view.outputs.extend(newest.plan.outputs());
        }
        let step = worker::next(&view, &task, receives).expect("a task");
        let outcome = |outcome| vec![Effect::CreateOutcome(task.version, outcome)];
        let effects = match &step {
            worker::Step::Work {
                inputs,
                base,
                outputs,
            } => match self.read(state, &newest.plan, unit, inputs, *base) {
                Ok(ticks) => {
                    let created = Effect::CreateOutputs(*outputs, ticks);
                    let pointed = Effect::Point(Table::ALL.to_vec(), task.version);
                    match self.bug {
                        Bug::PointerBeforeAllParts => vec![created, pointed],
                        _ => vec![created],
                    }
                }
                Err(reason) => outcome(Outcome::Abandoned { unit, reason }),
            },
            worker::Step::Abandon(reason) => outcome(Outcome::Abandoned {
                unit,
                reason: reason.clone(),
            }),
            worker::Step::Commit => outcome(committed()),
            worker::Step::Point(moves) => self.points(moves),
            worker::Step::LookAtCatalog | worker::Step::Done => Vec::new(),
        };
        (step, effects)
    }

    fn points(&self, moves: &[Move]) -> Vec<Effect> {
        let tables = moves.iter().map(|change| change.table);
        let version = moves[0].version;
        match self.moves_apart {
            true => tables
                .map(|table| Effect::Point(vec![table], version))
                .collect(),
            false => vec![Effect::Point(tables.collect(), version)],
        }
    }

    /// Reads the inputs of a unit and keeps its symbols.
    fn read(
        &self,
        state: &State,
        plan: &Plan,
        unit: u32,
        inputs: &[ObjectKey],
        base: Option<OutputKey>,
    ) -> Result<Ticks, Reason> {
        let has = |symbol: usize| symbol as u32 % plan.units() == unit;
        let mut ticks: Ticks = Default::default();
        if let Some(base) = base {
            let part = state.versions[base.version as usize].outputs.get(&base);
            let part = part.expect("a committed version is whole");
            for (ticks, part) in ticks.iter_mut().zip(part) {
                for symbol in (0..SYMBOLS).filter(|symbol| has(*symbol)) {
                    ticks[symbol] += part[symbol];
                }
            }
        }
        for key in inputs {
            let object = object_of(key);
            if state.raw.contains(&object) {
                for symbol in (0..SYMBOLS).filter(|symbol| has(*symbol)) {
                    ticks[object][symbol] += 1;
                }
            } else if self.bug != Bug::MissingInputIgnored {
                return Err(Reason::Missing {
                    key: key.to_string(),
                });
            }
        }
        Ok(ticks)
    }

    /// S3 or Glue carries out a request.
    fn take(&self, state: &mut State, effect: &Effect) {
        match effect {
            Effect::CreatePlan(plan) => {
                let curated = Curated {
                    plan: Arc::clone(plan),
                    is_sent: false,
                    outcome: None,
                    is_given_up: false,
                    is_superseded: false,
                    outputs: BTreeMap::new(),
                };
                match state.versions.get_mut(plan.version() as usize) {
                    None => state.versions.push(curated),
                    Some(there) if self.bug == Bug::PlanUnconditional => {
                        there.plan = Arc::clone(plan);
                    }
                    Some(there)
                        if self.bug == Bug::VersionReused
                            && matches!(there.outcome, Some(Outcome::Abandoned { .. })) =>
                    {
                        there.plan = Arc::clone(plan);
                        there.outcome = None;
                    }
                    Some(_) => {}
                }
            }
            Effect::CreateOutputs(keys, ticks) => {
                for key in keys {
                    let outputs = &mut state.version(key.version).outputs;
                    outputs.entry(*key).or_insert(*ticks);
                }
            }
            Effect::CreateOutcome(version, outcome) => {
                let is_abandoned = !outcome.is_committed();
                let there = state.version(*version);
                if self.bug == Bug::GiveUpWithoutRegister && is_abandoned {
                    there.is_given_up = true;
                } else if there.outcome.is_none() || self.bug == Bug::OutcomeUnconditional {
                    there.outcome = Some(outcome.clone());
                }
            }
            Effect::Point(tables, version) => {
                for (pointer, table) in state.pointers.iter_mut().zip(Table::ALL) {
                    if tables.contains(&table) {
                        *pointer = Some(*version);
                    }
                }
            }
        }
    }

    fn send(&self, state: &mut State, effects: Vec<Effect>) {
        for effect in effects {
            if !state.network.contains(&effect) {
                state.network.push(effect);
            }
        }
    }

    /// Forgets things without an effect, which keeps the world small: requests that
    /// would be refused, and outputs of an abandoned version, at which nobody looks.
    fn tidy(&self, state: &mut State) {
        let State {
            network, versions, ..
        } = state;
        let is_abandoned_for_good = !matches!(
            self.bug,
            Bug::VersionReused | Bug::GiveUpWithoutRegister | Bug::OutcomeUnconditional
        );
        if is_abandoned_for_good {
            for version in &mut *versions {
                if matches!(version.outcome, Some(Outcome::Abandoned { .. })) {
                    version.outputs.clear();
                }
            }
        }
        network.retain(|effect| match effect {
            Effect::CreatePlan(plan) => match versions.get(plan.version() as usize) {
                Some(there) => match self.bug {
                    Bug::PlanUnconditional => there.plan != *plan,
                    Bug::VersionReused => there.plan != *plan,
                    _ => false,
                },
                None => true,
            },
            Effect::CreateOutputs(keys, _) => {
                let version = &versions[keys[0].version as usize];
                let is_read = !is_abandoned_for_good || version.outcome.is_none();
                is_read && !keys.iter().all(|key| version.outputs.contains_key(key))
            }
            Effect::CreateOutcome(version, outcome) => {
                let version = &versions[*version as usize];
                match (&version.outcome, self.bug) {
                    (None, _) => true,
                    (Some(there), Bug::OutcomeUnconditional) => there != outcome,
                    (Some(_), Bug::GiveUpWithoutRegister) => {
                        !outcome.is_committed() && !version.is_given_up
                    }
                    (Some(_), _) => false,
                }
            }
            Effect::Point(..) => true,
        });
        network.sort_by_cached_key(fingerprint);
    }

    /// Runs a planner and the workers that it calls alone, every request taking effect at
    /// once; returns whether the newest version has all raw objects in the end, and the
    /// catalog names it.
    fn catches_up(&self, state: &State) -> bool {
        let mut state = state.clone();
        for _ in 0..60 {
            let raw = state.raw.clone();
            let (step, effects) = self.plan(&mut state, &raw, true);
            for effect in effects {
                self.take(&mut state, &effect);
            }
            match step {
                planner::Step::Send { tasks, .. } => {
                    for task in tasks {
                        if !self.finishes(&mut state, task.unit) {
                            return false;
                        }
                    }
                }
                step if step.is_done() => {
                    // Stuck is right if every raw object has expired and no version has it.
                    let is_end = matches!(step, planner::Step::Curated)
                        || matches!(step, planner::Step::Stuck { .. } if state.raw.is_empty());
                    return is_end && is_caught_up(&state);
                }
                _ => {}
            }
        }
        false
    }

    /// Runs a worker until nothing is left to do for a unit.
    fn finishes(&self, state: &mut State, unit: u32) -> bool {
        for _ in 0..10 {
            let (step, effects) = self.work(state, unit, 1);
            if step == worker::Step::Done {
                return true;
            }
            for effect in effects {
                self.take(state, &effect);
            }
        }
        false
    }
}

/// Returns whether the catalog names the newest committed version, and it has all raw
/// objects.
fn is_caught_up(state: &State) -> bool {
    let committed = |version: &&Curated| version.is_committed();
    let Some(newest) = state.versions.iter().rfind(committed) else {
        return state.raw.is_empty();
    };
    let covered = state.chain(newest);
    let number = Some(newest.plan.version());
    state.pointers == [number, number] && state.raw.iter().all(|object| covered[*object] > 0)
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let raw = BTreeSet::from([0]);
        vec![State {
            listings: BTreeSet::from([raw.clone()]),
            raw,
            landed: 1,
            versions: Vec::new(),
            pointers: [None, None],
            network: Vec::new(),
            stale_listings: self.stale_listings,
            expiries: self.expiries,
            give_ups: self.give_ups,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for raw in &state.listings {
            if *raw == state.raw || state.stale_listings > 0 {
                let plan = |glue_answers| Action::Plan(raw.clone(), glue_answers);
                actions.extend([true, false].map(plan));
            }
        }
        if let Some(newest) = state.newest() {
            let units = || 0..newest.plan.units();
            actions.extend(units().map(Action::Work));
            if state.give_ups > 0 && newest.outcome.is_none() {
                actions.extend(units().map(Action::GiveUp));
            }
        }
        for (index, effect) in state.network.iter().enumerate() {
            match effect {
                Effect::CreateOutputs(..) => {
                    actions.extend((0..2).map(|part| Action::ArrivePart(index, part)));
                }
                _ => actions.push(Action::Arrive(index)),
            }
        }
        if state.landed < self.objects {
            actions.push(Action::Land);
        }
        if state.expiries > 0 {
            actions.extend(state.raw.iter().copied().map(Action::Expire));
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Plan(raw, glue_answers) => {
                if raw != state.raw {
                    state.stale_listings -= 1;
                }
                // Marks decide nothing that readers see, and are forgotten to keep the
                // world small.
                let (_, effects) = self.plan(&mut state.clone(), &raw, glue_answers);
                self.send(&mut state, effects);
            }
            Action::Work(unit) => {
                let (_, effects) = self.work(&state, unit, 1);
                self.send(&mut state, effects);
            }
            Action::GiveUp(unit) => {
                let effects = if self.is_size {
                    self.work(&state, unit, worker::MAX_RECEIVES).1
                } else {
                    let version = state.newest()?.plan.version();
                    vec![Effect::CreateOutcome(version, overwritten(unit))]
                };
                self.send(&mut state, effects);
                state.give_ups -= 1;
            }
            Action::Arrive(index) => {
                let effect = state.network[index].clone();
                self.take(&mut state, &effect);
                if !matches!(effect, Effect::Point(..)) {
                    state.network.remove(index);
                }
            }
            Action::ArrivePart(index, part) => {
                if let Effect::CreateOutputs(keys, ticks) = state.network[index].clone() {
                    let outputs = &mut state.version(keys[part].version).outputs;
                    outputs.entry(keys[part]).or_insert(ticks);
                }
            }
            Action::Land => {
                state.raw.insert(state.landed);
                state.landed += 1;
                state.listings.insert(state.raw.clone());
            }
            Action::Expire(object) => {
                state.raw.remove(&object);
                state.expiries -= 1;
                state.listings.insert(state.raw.clone());
            }
        }
        self.tidy(&mut state);
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(WHOLE, |_, state: &State| {
                Table::ALL
                    .iter()
                    .zip(state.pointers)
                    .all(|(table, pointer)| {
                        pointer.is_none_or(|version| {
                            state.is_whole(&state.versions[version as usize], *table)
                        })
                    })
            }),
            Property::always(KEPT, |_, state: &State| {
                let committed = |version: &&Curated| version.is_committed();
                let chains = state.versions.iter().filter(committed);
                let chains: Vec<_> = chains.map(|version| state.chain(version)).collect();
                chains.windows(2).all(|pair| {
                    let mut objects = pair[0].iter().zip(pair[1]);
                    objects.all(|(before, after)| *before == 0 || after > 0)
                })
            }),
            Property::always(CATCHES_UP, |world: &World, state: &State| {
                // The other bugs have to be found by their effect on readers.
                !matches!(world.bug, Bug::None | Bug::PointerNeverMended) || world.catches_up(state)
            }),
            Property::sometimes(SUCCEEDS, |world: &World, state: &State| {
                state.raw.len() == world.objects && state.versions.len() > 1 && is_caught_up(state)
            }),
        ]
    }
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
            SUCCEEDS,
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

/// Two of these have a unit more than one.
const LARGE: u64 = BYTES_PER_UNIT / 2 + 1;

#[test]
fn holds_with_late_objects() {
    let world = World {
        objects: 3,
        stale_listings: 3,
        moves_apart: true,
        ..World::quiet()
    };
    holds("late objects", world);
}

#[test]
fn holds_with_more_units_and_an_object_that_expires() {
    let world = World {
        objects: 3,
        object_bytes: LARGE,
        stale_listings: 1,
        expiries: 1,
        ..World::quiet()
    };
    holds("expired", world);
}

#[test]
fn holds_when_units_are_given_up() {
    let world = World {
        expiries: 1,
        give_ups: 2,
        moves_apart: true,
        ..World::quiet()
    };
    holds("given up", world);
}

#[test]
fn holds_when_units_are_cut_smaller() {
    let world = World {
        give_ups: 1,
        is_size: true,
        ..World::quiet()
    };
    holds("cut smaller", world);
}

#[test]
fn finds_a_pointer_set_before_all_parts_exist() {
    finds(Bug::PointerBeforeAllParts, WHOLE, World::quiet());
}

#[test]
fn finds_raw_objects_read_again() {
    finds(Bug::RawObjectsAgain, WHOLE, World::quiet());
}

#[test]
fn finds_a_version_built_from_raw_objects_after_some_expired() {
    let world = World {
        expiries: 1,
        ..World::quiet()
    };
    finds(Bug::BuiltFromRawObjectsOnly, KEPT, world);
}

#[test]
fn finds_a_unit_given_up_without_the_register() {
    let world = World {
        expiries: 1,
        give_ups: 1,
        ..World::quiet()
    };
    finds(Bug::GiveUpWithoutRegister, KEPT, world);
}

#[test]
fn finds_a_version_number_used_again() {
    let world = World {
        give_ups: 1,
        ..World::quiet()
    };
    finds(Bug::VersionReused, WHOLE, world);
}

#[test]
fn finds_a_pointer_moved_back_for_good() {
    finds(Bug::PointerNeverMended, CATCHES_UP, World::quiet());
}

#[test]
fn finds_a_commit_without_a_look_at_every_output() {
    let world = World {
        object_bytes: LARGE,
        ..World::quiet()
    };
    finds(Bug::CommitWithoutLooking, WHOLE, world);
}

#[test]
fn finds_a_plan_that_is_put_unconditionally() {
    finds(Bug::PlanUnconditional, WHOLE, World::quiet());
}

#[test]
fn finds_an_outcome_that_is_put_unconditionally() {
    let world = World {
        give_ups: 1,
        ..World::quiet()
    };
    finds(Bug::OutcomeUnconditional, WHOLE, world);
}

#[test]
fn finds_a_missing_input_taken_for_an_empty_one() {
    let world = World {
        expiries: 1,
        ..World::quiet()
    };
    finds(Bug::MissingInputIgnored, WHOLE, world);
}
