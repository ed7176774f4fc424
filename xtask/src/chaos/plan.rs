use std::time::Duration;

use fastrand::Rng;

use super::curating::CuratingPlan;

/// One of so many seeds curates.
const CURATES: u64 = 5;
/// Hours of the ticks' event times.
const HOURS: u64 = 72;
/// If the lake is curated, there are fewer of them: each hour then has late ticks, and
/// several versions.
const CURATED_HOURS: u64 = 6;

/// The events of a run and their times, all drawn from a seed.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) partitions: i32,
    pub(crate) consumers: usize,
    pub(crate) membership: Membership,
    /// Maximum delay of each S3 request, in milliseconds.
    pub(crate) latency: u64,
    /// Percentage of S3 requests with a fault.
    pub(crate) fault_rate: u8,
    /// Records a second, except while idle.
    pub(crate) rate: u64,
    /// Half of the records come in transactions.
    pub(crate) has_transactions: bool,
    /// Hours of the ticks' event times.
    pub(crate) hours: u64,
    /// How the lake is curated meanwhile, if it is.
    pub(crate) curating: Option<CuratingPlan>,
    pub(crate) events: Vec<(Duration, Event)>,
    pub(crate) length: Duration,
}

/// Whose PUTs lose their conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Unconditional {
    Consumers,
    Curate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Kill one consumer with kill -9, and start another in its place.
    Kill,
    /// SIGTERM one consumer.
    Leave,
    /// Start one more consumer.
    Join,
    /// Stop one consumer for longer than its session, then let it continue as if nothing
    /// had happened.
    Freeze,
    /// Kill a broker; it comes back at the end.
    KillBroker,
    /// S3 answers no request for a while.
    Outage,
    /// Nothing is produced for a while.
    Idle,
    /// Retention takes records, also those that have not landed.
    Retention,
    /// A manifest of a later version appears in one partition, so the consumer that gets
    /// the partition parks it. The manifest is removed at the end.
    Poison,
}

/// The way in which the consumers share the partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Membership {
    /// Kafka's classic group protocol.
    Classic,
    /// The same with static members: the replacement of a killed consumer gets its
    /// partitions at once.
    Static,
    /// KIP-848.
    Consumer,
    /// Each consumer has its own group, so that all of them land every partition at the
    /// same time: zombies from the first record to the last.
    Rivals,
}

impl Plan {
    /// Draws the plan of a seed. It curates if the seed says so, or in any case.
    pub(crate) fn draw(seed: u64, curates: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let membership = [
            Membership::Classic,
            Membership::Static,
            Membership::Consumer,
            Membership::Rivals,
        ][rng.usize(0..4)];
        let length = Duration::from_millis(rng.u64(4_000..8_000));
        let mut events = Vec::new();
        let mut at = Duration::from_millis(rng.u64(500..2_500));
        while at < length {
            // At most one long event in a run, so that two hundred runs end in time.
            let takes_long = |events: &[(Duration, Event)]| {
                events
                    .iter()
                    .any(|(_, event)| matches!(event, Event::Freeze | Event::KillBroker))
            };
            let event = match rng.u8(0..100) {
                0..30 => Event::Kill,
                30..40 => Event::Leave,
                40..53 => Event::Join,
                53..65 => Event::Retention,
                65..75 if !takes_long(&events) => Event::Freeze,
                // A killed broker loses the heartbeat's answer with an assignment of
                // KIP-848. librdkafka 2.12.1 then never gets that assignment.
                75..82 if !takes_long(&events) && membership != Membership::Consumer => {
                    Event::KillBroker
                }
                82..89 => Event::Outage,
                89..94 if !events.iter().any(|(_, event)| *event == Event::Poison) => Event::Poison,
                _ => Event::Idle,
            };
            events.push((at, event));
            at += Duration::from_millis(rng.u64(300..1_500));
        }
        let mut plan = Self {
            seed,
            partitions: rng.i32(1..=4),
            consumers: rng.usize(1..=3),
            membership,
            latency: [0, 60, 300][rng.usize(0..3)],
            fault_rate: [0, 5, 15, 30][rng.usize(0..4)],
            rate: [50, 400, 2_000][rng.usize(0..3)],
            has_transactions: rng.bool(),
            hours: HOURS,
            curating: None,
            events,
            length,
        };
        if curates || seed.is_multiple_of(CURATES) {
            plan.hours = CURATED_HOURS;
            plan.curating = Some(CuratingPlan::draw(seed, plan.rate));
        }
        plan
    }

    /// Draws the settings of one consumer. Formats, batch sizes and rules differ between
    /// the consumers of a group.
    pub(crate) fn settings(&self, number: u64) -> Vec<(&'static str, String)> {
        let mut rng = Rng::with_seed(self.seed.wrapping_mul(1_000_003).wrapping_add(number));
        let mut pick = |choice: &[&str]| choice[rng.usize(0..choice.len())].to_owned();
        vec![
            ("LAKE__FORMAT", pick(&["json", "parquet", "csv"])),
            (
                "LAKE__PARTITION_BY",
                pick(&["kafka-timestamp", "event-time"]),
            ),
            ("BATCH__MAX_AGE", pick(&["100ms", "400ms", "2s"])),
            ("BATCH__MAX_ROWS", pick(&["20", "300", "100000"])),
        ]
    }

    pub(crate) fn describe(&self) -> String {
        let Self {
            partitions,
            consumers,
            membership,
            rate,
            fault_rate,
            latency,
            has_transactions,
            curating,
            ..
        } = self;
        let curating = curating.map(|curating| format!(", {}", curating.describe()));
        let events: Vec<String> = self
            .events
            .iter()
            .map(|(_, event)| format!("{event:?}"))
            .collect();
        let transactions = if *has_transactions {
            ", transactions"
        } else {
            ""
        };
        format!(
            "{partitions} partitions, {consumers} {membership:?}, {rate}/s{transactions}, \
             {fault_rate} %, {latency} ms{}: {}",
            curating.unwrap_or_default(),
            events.join(" ")
        )
    }
}
