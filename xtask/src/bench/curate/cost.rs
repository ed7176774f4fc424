use wording::grouped;

use super::folder::One;
use super::unit::Unit;

/// List prices of us-east-1 in dollars, those of docs/cost.md.
const PUT: f64 = 0.005 / 1e3;
const GET: f64 = 0.0004 / 1e3;
const GIBIBYTE_SECOND: f64 = 0.000_016_7;

const TICKS_PER_SECOND: u64 = 10_000;
const SECONDS: u64 = 3_600;
/// Partitions of the stack's own topic, each of which lands an object a minute.
const OBJECTS: u64 = 12 * 60;

/// The CPU seconds of a million ticks: to read them, which every unit does, and to sort
/// and write them, which one unit does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Costs {
    read: f64,
    sort: f64,
}

/// An hour at 10,000 ticks a second.
pub(super) struct Hour {
    units: u64,
    unit_seconds: f64,
    puts: u64,
    gets: u64,
    gibibytes: f64,
}

impl Costs {
    /// Returns the costs from two units that have read the same ticks: one has kept all of
    /// them, the other some.
    pub(super) fn of(all: &One, some: &One) -> Self {
        let million = |one: &One| one.ticks as f64 / 1e6;
        let sort = (all.cpu_seconds - some.cpu_seconds) / (million(all) - million(some));
        let read = all.cpu_seconds / million(all) - sort;
        Self { read, sort }
    }

    pub(super) fn describe(&self) -> String {
        let Self { read, sort } = self;
        format!("{read:.2} cpu-s to read a million, {sort:.2} to sort and write it")
    }
}

impl Hour {
    pub(super) fn at_10_000_ticks(
        bytes_a_tick: f64,
        costs: &Costs,
        unit: &Unit,
        memory: u64,
    ) -> Self {
        let ticks = (TICKS_PER_SECOND * SECONDS) as f64;
        let units = (bytes_a_tick * ticks / curation::BYTES_PER_UNIT as f64).ceil() as u64;
        let units = units.next_power_of_two();
        let millions = ticks / 1e6;
        Self {
            units,
            unit_seconds: costs.read * millions + costs.sort * millions / units as f64,
            // The plan and the register of sent tasks are the planner's.
            puts: units * unit.puts + 2,
            gets: units * (OBJECTS + unit.gets),
            gibibytes: memory as f64 / 1_024.0,
        }
    }

    fn of_units(&self) -> f64 {
        self.units as f64 * self.unit_seconds * self.gibibytes * GIBIBYTE_SECOND
    }

    fn of_requests(&self) -> f64 {
        self.puts as f64 * PUT + self.gets as f64 * GET
    }

    /// Returns the cost of units and requests. Looks for closed hours cost the same at any
    /// rate; docs/cost.md has them.
    pub(super) fn dollars(&self) -> f64 {
        self.of_units() + self.of_requests()
    }

    pub(super) fn describe(&self) -> String {
        format!(
            "{} ticks a second, {OBJECTS} raw objects: {} units of {:.0} cpu-s (${:.4}); \
             {} GETs, {} PUTs and LISTs (${:.4}): ${:.4} an hour",
            grouped(TICKS_PER_SECOND),
            self.units,
            self.unit_seconds,
            self.of_units(),
            grouped(self.gets),
            grouped(self.puts),
            self.of_requests(),
            self.dollars()
        )
    }
}
