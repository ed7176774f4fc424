//! Curation of a lake that lands meanwhile: two planners that look at once, workers that
//! are killed and get every message twice, and S3, Glue and SQS behind a faulty proxy.

mod courier;
mod deliveries;
mod plan;
mod reader;
mod seat;
mod verdict;

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use fastrand::Rng;
use futures::future::try_join_all;
use jiff::Timestamp;
use local::{Aws, Conditions, CuratedLake, FaultProxy, Ministack, Workspace};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::records::AcknowledgedTick;
use courier::Courier;
use deliveries::Deliveries;
pub(crate) use plan::CuratingPlan;
use reader::Reader;
use seat::Seat;
pub(crate) use verdict::Curated;
use verdict::Versions;

/// Planners that look at the same time.
const PLANNERS: usize = 2;
/// The longest time between two looks of the planners, in milliseconds.
const LOOK_MILLIS: u64 = 1_500;
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const READ_INTERVAL: Duration = Duration::from_millis(500);
/// Versions of each hour that the reader has to find before the ticks end.
const ENOUGH_VERSIONS: usize = 3;
/// Limit of the time in which the hours are curated, once all faults are over.
const END_TIMEOUT: Duration = Duration::from_secs(120);

/// The function in several processes, with its queue and its tables.
pub(crate) struct Curating<'a> {
    aws: &'a Aws,
    workspace: &'a Workspace,
    lake: CuratedLake,
    proxy: FaultProxy,
    deliveries: RefCell<Deliveries>,
    planners: Vec<Seat>,
    workers: Vec<Seat>,
    rng: Rng,
}

impl<'a> Curating<'a> {
    /// Creates queue and tables, and a proxy that has no faults yet.
    pub(crate) async fn start(
        plan: &CuratingPlan,
        conditions: Conditions,
        workspace: &'a Workspace,
        ministack: &'a Ministack,
        bucket: &str,
    ) -> Result<Self> {
        let aws = &ministack.aws;
        let lake = CuratedLake::create(aws, bucket).await?;
        let proxy = FaultProxy::start(aws.endpoint(), plan.seed, conditions).await?;
        proxy.set_latency(plan.latency);
        proxy.set_rate(plan.fault_rate);
        let mut environment = lake.environment(aws, &proxy.url());
        // Versions are tagged while others still read them.
        environment.push(("CURATE_RETIRE_HOURS".to_owned(), "0".to_owned()));
        let rows = plan.max_rows.map(|rows| rows.to_string());
        environment.extend(rows.map(|rows| ("CURATE_MAX_ROWS".to_owned(), rows)));
        let mut rng = Rng::with_seed(plan.seed ^ 0x5ea7);
        let mut seats = |role: &str, count: usize| -> Vec<Seat> {
            let seat = |number| {
                let name = format!("{bucket}-{role}-{number}");
                Seat::new(name, workspace, &environment, rng.fork(), plan.kill_rate)
            };
            (0..count).map(seat).collect()
        };
        Ok(Self {
            aws,
            workspace,
            lake,
            deliveries: RefCell::new(Deliveries::new(plan.seed)),
            planners: seats("planner", PLANNERS),
            workers: seats("worker", plan.workers),
            proxy,
            rng,
        })
    }

    /// Plans, works, delivers and reads until `is_over` is set. Sets `is_enough` if every
    /// hour has had several versions.
    pub(crate) async fn torture(
        &mut self,
        is_enough: &AtomicBool,
        is_over: &AtomicBool,
    ) -> Result<()> {
        let mut reader = Reader::new(self.aws, &self.lake.bucket);
        let courier = &Courier {
            aws: self.aws,
            queue: &self.lake.queue,
            deliveries: &self.deliveries,
        };
        let goes_on = &|| !is_over.load(Ordering::Relaxed);
        let (planners, rng) = (&mut self.planners, &mut self.rng);
        let plan = async {
            while goes_on() {
                let event = look(false);
                let looks = planners.iter_mut().map(|planner| planner.invoke(&event));
                // A look may fail, and the next one goes on.
                try_join_all(looks).await?;
                sleep(Duration::from_millis(rng.u64(0..LOOK_MILLIS))).await;
            }
            Ok(())
        };
        let work = self.workers.iter_mut().map(|worker| async move {
            while goes_on() {
                if !courier.hand_over(worker).await? {
                    sleep(POLL_INTERVAL).await;
                }
            }
            anyhow::Ok(())
        });
        let fetch = async {
            while goes_on() {
                courier.fetch().await?;
                sleep(POLL_INTERVAL).await;
            }
            Ok(())
        };
        let read = async {
            while goes_on() {
                reader.look().await?;
                if reader.fewest_versions() >= ENOUGH_VERSIONS {
                    is_enough.store(true, Ordering::Relaxed);
                }
                sleep(READ_INTERVAL).await;
            }
            Ok(())
        };
        tokio::try_join!(plan, try_join_all(work), fetch, read)?;
        Ok(())
    }

    /// Ends all faults, curates the rest, and compares the curated tables with the raw
    /// objects and the acknowledged ticks.
    pub(crate) async fn finish(&mut self, ticks: &[AcknowledgedTick]) -> Result<Curated> {
        self.proxy.set_rate(0);
        self.proxy.set_latency(0);
        while self.proxy.late() > 0 {
            sleep(POLL_INTERVAL).await;
        }
        let rest = self.curate_the_rest().await;
        // Other faults may follow from this one.
        verdict::nothing_is_overwritten(self.aws, &self.lake.bucket).await?;
        let forced = rest?;
        let mut logs = String::new();
        let mut killed = 0;
        for seat in self.planners.iter_mut().chain(&mut self.workers) {
            logs += &seat.stop().await?;
            killed += seat.killed;
        }
        ensure!(
            !logs.contains("panicked at"),
            "the function has panicked, see the logs of {}",
            self.lake.bucket
        );
        let mut reader = Reader::new(self.aws, &self.lake.bucket);
        reader.look().await?;
        let counts = verdict::recount(self.aws, self.workspace, &self.lake.bucket, ticks).await?;
        Ok(Curated {
            counts,
            versions: Versions::read(self.aws, &self.lake.bucket).await?,
            forced,
            killed,
            delivered: self.deliveries.borrow().delivered,
            faults: self.proxy.thrown(),
        })
    }

    /// Looks and works until every hour is curated. Returns how often hours were stuck, as
    /// workers were killed too often: an operator forces another plan then.
    async fn curate_the_rest(&mut self) -> Result<u64> {
        let courier = Courier {
            aws: self.aws,
            queue: &self.lake.queue,
            deliveries: &self.deliveries,
        };
        let planner = self.planners.first_mut().context("no planner")?;
        let worker = self.workers.first_mut().context("no worker")?;
        planner.spare();
        worker.spare();
        let deadline = Instant::now() + END_TIMEOUT;
        let (mut forced, mut is_forced) = (0, false);
        loop {
            let summary = match planner.invoke(&look(is_forced)).await? {
                Some(Ok(summary)) => summary,
                Some(Err(error)) => bail!("a look without faults: {error}"),
                None => bail!("a look without faults does not end"),
            };
            courier.fetch().await?;
            while !courier.is_idle() {
                if !courier.hand_over(worker).await? {
                    sleep(POLL_INTERVAL).await;
                }
            }
            if summary["hours"] == summary["curated"] {
                return Ok(forced);
            }
            is_forced = summary["stuck"] != 0;
            forced += summary["stuck"].as_u64().unwrap_or_default();
            ensure!(
                Instant::now() < deadline,
                "the hours are not curated after {} s: {summary}",
                END_TIMEOUT.as_secs()
            );
        }
    }
}

/// Returns an event that closes every hour that has begun, while its ticks still land.
fn look(is_forced: bool) -> Value {
    let now = Timestamp::now().to_string();
    json!({"plan": {"through": now, "force": is_forced}})
}
