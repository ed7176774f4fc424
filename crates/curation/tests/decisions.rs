//! The decisions that the model does not tell apart: their order, the clock, how many
//! units, and the registers of a torn or unreadable look.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

use std::time::Duration;

use curation::{
    BYTES_PER_UNIT, Closing, FoundRegister, HourView, Move, Outcome, Plan, Pointer, Pointers,
    RawObject, Reason, Register, RegisterKey, Registers, Rules, Summary, Table, Task, Version,
    mark_json, planner, worker,
};
use jiff::Timestamp;
use lake_layout::{LakePartition, ObjectKey};

const RULES: Rules = Rules {
    grace: Duration::from_secs(600),
    through: None,
    force: false,
    retire_after: Duration::from_secs(86_400),
};

fn hour() -> LakePartition {
    LakePartition::parse("2026-11-24", "05").expect("an hour")
}

fn time(text: &str) -> Timestamp {
    format!("2026-11-24T{text}Z").parse().expect("a time")
}

fn raw(first: i64, bytes: u64) -> RawObject {
    let key = format!("ticks/{}/t-0-{first:020}-{first:020}.parquet", hour());
    RawObject {
        key: ObjectKey::parse(&key).expect("a key"),
        bytes,
        created: time("05:30:00"),
    }
}

fn view(raw: Vec<RawObject>, versions: Vec<Version>) -> HourView {
    let newest = versions.last().map(|version| version.plan.clone());
    HourView {
        hour: hour(),
        pointers: Some(Pointers {
            ticks: Pointer::Absent,
            bars: Pointer::Absent,
        }),
        raw,
        registers: Registers::of(versions).expect("no hole"),
        outputs: newest
            .map(|plan| plan.outputs().collect())
            .unwrap_or_default(),
    }
}

fn step(view: &HourView) -> planner::Step {
    planner::next(view, &RULES, time("09:00:00"))
}

fn planned(view: &HourView) -> Plan {
    match step(view) {
        planner::Step::CreatePlan(plan) => plan,
        step => panic!("no plan but {step:?}"),
    }
}

fn version(plan: Plan, outcome: Option<Outcome>) -> Version {
    Version {
        plan,
        sent: Vec::new(),
        decided: outcome.is_some().then(|| time("07:00:00")),
        outcome,
        is_superseded: false,
    }
}

fn committed_outcome() -> Option<Outcome> {
    Some(Outcome::Committed {
        base: None,
        summary: Summary::default(),
    })
}

fn abandoned(reason: Reason) -> Option<Outcome> {
    Some(Outcome::Abandoned { unit: 0, reason })
}

/// An hour whose version 0 was committed and has the first raw object.
fn committed() -> HourView {
    let plan = planned(&view(vec![raw(0, 1)], vec![]));
    let versions = vec![version(plan, committed_outcome())];
    view(vec![raw(0, 1)], versions)
}

fn point(view: &mut HourView, pointer: u32) {
    view.pointers = Some(Pointers {
        ticks: Pointer::Version(pointer),
        bars: Pointer::Version(pointer),
    });
}

#[test]
fn a_version_goes_from_plan_to_pointer() {
    let mut now = view(vec![raw(0, 1), raw(1, 1)], vec![]);
    let plan = planned(&now);
    assert_eq!((plan.version(), plan.units(), plan.base()), (0, 1, None));
    let tasks = vec![plan.task(0)];

    now = view(now.raw, vec![version(plan.clone(), None)]);
    let outputs = std::mem::take(&mut now.outputs);
    let send = |number| planner::Step::Send {
        tasks: tasks.clone(),
        number,
    };
    assert_eq!(step(&now), send(0));
    let sent = |times: &[&str]| {
        let sent = Version {
            sent: times.iter().copied().map(time).collect(),
            ..version(plan.clone(), None)
        };
        Registers::of(vec![sent]).expect("no hole")
    };
    now.registers = sent(&["08:00:00"]);
    assert_eq!(step(&now), planner::Step::Working(0));
    now.registers = sent(&["06:59:59"]);
    assert_eq!(step(&now), send(1));
    now.registers = sent(&["06:59:59", "08:59:00"]);
    assert_eq!(
        step(&now),
        planner::Step::Working(0),
        "sent again a minute ago"
    );
    now.registers = sent(&["02:00:00", "04:00:00"]);
    assert_eq!(step(&now), send(2));
    now.outputs.extend(outputs.iter().take(1).copied());
    assert_eq!(step(&now), send(2), "one of two tables");
    now.outputs = outputs;
    assert_eq!(step(&now), planner::Step::Commit(0));

    let outcome = committed_outcome();
    now.registers = Registers::of(vec![version(plan, outcome)]).expect("no hole");
    let change = |table| Move {
        table,
        version: 0,
        exists: false,
    };
    let moves = Table::ALL.map(change).to_vec();
    assert_eq!(step(&now), planner::Step::Point(moves));
    point(&mut now, 0);
    assert_eq!(step(&now), planner::Step::Curated);
}

#[test]
fn a_late_object_makes_a_version_on_top_and_the_older_one_is_retired() {
    let mut now = committed();
    point(&mut now, 0);
    now.raw.push(raw(1, 1));
    let plan = planned(&now);
    assert_eq!(plan.version(), 1);
    assert_eq!(
        plan.base().map(|base| (base.version, base.units)),
        Some((0, 1))
    );
    assert_eq!(plan.inputs(), [raw(1, 1).key]);

    let mut versions = now.registers.versions().to_vec();
    versions.push(version(plan, committed_outcome()));
    now.registers = Registers::of(versions.clone()).expect("no hole");
    let planner::Step::Point(moves) = step(&now) else {
        panic!("the pointers are at version 0");
    };
    assert!(
        moves
            .iter()
            .all(|change| change.version == 1 && change.exists)
    );
    point(&mut now, 1);
    let next_day = |text: &str| {
        let time: Timestamp = format!("2026-11-25T{text}Z").parse().expect("a time");
        planner::next(&now, &RULES, time)
    };
    assert_eq!(
        next_day("06:59:59"),
        planner::Step::Curated,
        "a query may read it"
    );
    assert_eq!(next_day("07:00:00"), planner::Step::Retire(0));
    versions[0].is_superseded = true;
    now.registers = Registers::of(versions).expect("no hole");
    assert_eq!(step(&now), planner::Step::Curated);
    let later = planner::next(&now, &RULES, Timestamp::MAX);
    assert_eq!(later, planner::Step::Curated);
}

#[test]
fn an_hour_goes_on_while_glue_is_away_but_retires_nothing() {
    let mut now = committed();
    now.pointers = None;
    assert_eq!(step(&now), planner::Step::Curated);
    now.raw.push(raw(1, 1));
    assert_eq!(planned(&now).version(), 1);
}

#[test]
fn a_pointer_that_somebody_else_moved_is_set_again() {
    let mut now = committed();
    for ticks in [Pointer::Elsewhere, Pointer::Version(7)] {
        now.pointers = Some(Pointers {
            ticks,
            bars: Pointer::Version(0),
        });
        let moves = vec![Move {
            table: Table::Ticks,
            version: 0,
            exists: true,
        }];
        assert_eq!(step(&now), planner::Step::Point(moves));
    }
}

#[test]
fn large_hours_have_more_units_and_never_fewer_than_before() {
    let bytes = BYTES_PER_UNIT / 2 + 1;
    let raws = |count| {
        (0..count)
            .map(|first| raw(first, bytes))
            .collect::<Vec<_>>()
    };
    let first = planned(&view(raws(5), vec![]));
    assert_eq!(first.units(), 4);
    let versions = vec![version(first, committed_outcome())];
    let mut later = view(raws(6), versions);
    later.pointers = None;
    assert_eq!(planned(&later).units(), 4);
}

#[test]
fn units_become_smaller_and_the_third_abandoned_version_is_the_last() {
    let mut now = view(vec![raw(0, 1)], vec![]);
    let mut units = Vec::new();
    let mut versions = Vec::new();
    for reason in [
        Reason::TooLarge { rows: 9 },
        Reason::Unfinished,
        Reason::Missing {
            key: "x".to_owned(),
        },
    ] {
        let plan = planned(&now);
        units.push(plan.units());
        versions.push(version(plan, abandoned(reason)));
        now = view(now.raw, versions.clone());
    }
    assert_eq!(units, [1, 4, 16]);
    let stuck = planner::Step::Stuck {
        version: 2,
        unit: 0,
        reason: Reason::Missing {
            key: "x".to_owned(),
        },
    };
    assert_eq!(step(&now), stuck);

    let force = Rules {
        force: true,
        ..RULES
    };
    let forced = planner::next(&now, &force, time("09:00:00"));
    assert!(matches!(forced, planner::Step::CreatePlan(plan) if plan.version() == 3));
    now.raw.push(raw(1, 1));
    let plan = planned(&now);
    assert_eq!(
        (plan.version(), plan.units(), plan.inputs().len()),
        (3, 16, 2)
    );
}

#[test]
fn after_an_outage_a_stuck_hour_is_tried_again_with_units_as_they_are() {
    let mut now = view(vec![raw(0, 1)], vec![]);
    let mut versions = Vec::new();
    let mut units = Vec::new();
    for _ in 0..planner::MAX_ABANDONED {
        let plan = planned(&now);
        units.push(plan.units());
        versions.push(version(plan, abandoned(Reason::Unfinished)));
        now = view(now.raw, versions.clone());
    }
    let at = |text| planner::next(&now, &RULES, time(text));
    assert!(matches!(
        at("08:59:59"),
        planner::Step::Stuck { version: 2, .. }
    ));
    let planner::Step::CreatePlan(plan) = at("09:00:00") else {
        panic!("two hours after it was given up");
    };
    units.push(plan.units());
    assert_eq!(units, [1, 4, 16, 16]);
}

#[test]
fn an_hour_whose_raw_objects_are_gone_is_stuck_not_curated() {
    let plan = planned(&view(vec![raw(0, 1)], vec![]));
    let key = raw(0, 1).key.to_string();
    let missing = abandoned(Reason::Missing { key });
    let gone = view(vec![], vec![version(plan, missing)]);
    assert!(matches!(
        step(&gone),
        planner::Step::Stuck { version: 0, .. }
    ));
    assert_eq!(step(&view(vec![], vec![])), planner::Step::Curated);
}

#[test]
fn nothing_is_planned_before_the_hour_closes() {
    let now = view(vec![raw(0, 1)], vec![]);
    let closes = time("06:10:00");
    let early = planner::next(&now, &RULES, time("06:00:00"));
    assert_eq!(early, planner::Step::NotClosed(closes));
    let closing = now.closing(&RULES, time("09:00:00"));
    assert_eq!(closing, Some(Closing::Closed(closes)));
    let unknown = HourView {
        hour: LakePartition::Unknown,
        ..now
    };
    assert_eq!(step(&unknown), planner::Step::Curated);
}

#[test]
fn a_worker_works_commits_and_points() {
    let mut now = view(vec![raw(0, BYTES_PER_UNIT), raw(1, BYTES_PER_UNIT)], vec![]);
    let plan = planned(&now);
    now = view(vec![], vec![version(plan.clone(), None)]);
    let all = std::mem::take(&mut now.outputs);
    let next =
        |view: &HourView, receives| worker::next(view, &plan.task(1), receives).expect("a task");
    let work = worker::Step::Work {
        inputs: plan.inputs().to_vec(),
        base: None,
        outputs: plan.outputs_of(1),
    };
    assert_eq!(next(&now, 2), work);
    assert_eq!(next(&now, 3), worker::Step::Abandon(Reason::Unfinished));
    now.outputs.extend(plan.outputs_of(1));
    assert_eq!(next(&now, 1), worker::Step::Done);
    now.outputs = all;
    assert_eq!(next(&now, 3), worker::Step::Commit, "not given up");

    let outcome = committed_outcome();
    now.registers = Registers::of(vec![version(plan.clone(), outcome)]).expect("no hole");
    now.pointers = None;
    assert_eq!(next(&now, 3), worker::Step::LookAtCatalog);
    point(&mut now, 0);
    assert_eq!(next(&now, 3), worker::Step::Done);
    now.pointers = Some(Pointers {
        ticks: Pointer::Version(0),
        bars: Pointer::Absent,
    });
    let moves = vec![Move {
        table: Table::Bars,
        version: 0,
        exists: false,
    }];
    assert_eq!(next(&now, 3), worker::Step::Point(moves));

    let outcome = abandoned(Reason::Unfinished);
    now.registers = Registers::of(vec![version(plan.clone(), outcome)]).expect("no hole");
    assert_eq!(next(&now, 1), worker::Step::Done);
}

#[test]
fn a_task_of_no_plan_is_refused() {
    let now = committed();
    let error = |version, unit| {
        let task = Task {
            hour: hour(),
            version,
            unit,
        };
        worker::next(&now, &task, 1)
            .expect_err("no task")
            .to_string()
    };
    assert!(error(1, 0).starts_with("task of dt=2026-11-24/hr=05, version 1: no such plan"));
    assert!(error(0, 1).contains("only 1 units"));
}

fn found(version: u32, register: Register, body: Vec<u8>) -> FoundRegister {
    FoundRegister {
        key: RegisterKey {
            hour: hour(),
            version,
            register,
        },
        created: time("06:15:00"),
        body,
    }
}

#[test]
fn registers_read_back_and_a_torn_look_says_so() {
    let first = planned(&view(vec![raw(0, 1)], vec![]));
    let reason = Reason::Unreadable {
        key: "k".to_owned(),
        problem: "p".to_owned(),
    };
    let outcome = Outcome::Abandoned { unit: 0, reason };
    let versions = vec![version(first.clone(), Some(outcome.clone()))];
    let second = planned(&view(vec![raw(0, 1)], versions));
    let key = first.register(Register::Outcome);
    let body = outcome.to_json(&key).expect("JSON");
    let text = String::from_utf8_lossy(&body);
    let content =
        r#""content":{"abandoned":{"unit":0,"reason":{"unreadable":{"key":"k","problem":"p"}}}}}"#;
    assert!(text.ends_with(content), "{text}");

    let plan = |plan: &Plan| plan.to_json().expect("JSON");
    let sent = first.register(Register::Sent(0));
    let whole = vec![
        found(0, Register::Outcome, body),
        found(0, Register::Plan, plan(&first)),
        found(0, Register::Sent(0), mark_json(&sent).expect("JSON")),
        found(1, Register::Plan, plan(&second)),
    ];
    let registers = Registers::new(hour(), whole.clone()).expect("registers");
    let [zero, one] = registers.versions() else {
        panic!("two versions");
    };
    assert_eq!((&zero.plan, &zero.outcome), (&first, &Some(outcome)));
    assert_eq!(
        (&zero.sent[..], &one.sent[..]),
        (&[time("06:15:00")][..], &[][..])
    );
    assert_eq!((&one.plan, &one.outcome), (&second, &None));

    for (unseen, name) in [(0, "000000.outcome"), (1, "000000.plan")] {
        let mut torn = whole.clone();
        torn.remove(unseen);
        let error = Registers::new(hour(), torn).expect_err(name).to_string();
        assert!(
            error.contains(name) && error.contains("look again"),
            "{error}"
        );
    }
    let mut garbled = whole;
    garbled[0].body = b"<html>".to_vec();
    let error = Registers::new(hour(), garbled)
        .expect_err("garbled")
        .to_string();
    assert!(error.starts_with("register _curated/dt=2026-11-24/hr=05/000000.outcome.json"));
}
