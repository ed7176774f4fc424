//! Drives the real [`Handling`] against a model of SQS, Glue, S3 and two warm functions:
//! random arrivals, repeats, crawl durations, failures, outages, crashes, deletions, and
//! foreign files that no crawl covers. An acknowledged object is covered or gone at that
//! moment (G5). Every successful crawl finds something new (G6), or is the first success
//! since the message of an object that no crawl covers. A failure names its seed, which
//! repeats it.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use lake_layout::LakePartition;
use object_event::ObjectVersion;
use tokio::time::Instant;

use crate::handling::{Answer, Ask, Crawl, CrawlOn, CrawlerSeen, Handling};
use crate::known::Known;
use crate::want::{Want, Wanted};

const SEEDS: u64 = 300;
/// The queue's `VisibilityTimeout` in template.yaml.
const VISIBILITY_TIMEOUT_MS: u64 = 300_000;
/// The queue's `maxReceiveCount` in template.yaml.
const MAX_RECEIVES: u32 = 144;

/// A defect that is built in on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// Acknowledges messages while a crawl is running, as if it covered them.
    AcknowledgeWhileRunning,
    /// Asks for the catalog before the crawler. That costs a crawl if the message has no
    /// time, like an event that did not come through SQS. So would an object that no
    /// crawl covers; the model has none with this defect.
    CatalogFirst,
    /// Ignores the time of a message, so crawls are started for an object that a crawl
    /// has passed over.
    StartForever,
    /// Does not ask S3 whether an object is gone.
    NeverLook,
    /// Takes an object for gone if S3 does not answer.
    SilenceIsGone,
}

struct Object {
    partition: LakePartition,
    created: u64,
    deleted: Option<u64>,
    /// Whether the crawler creates no partition for it.
    is_foreign: bool,
    is_crawled: bool,
}

struct Queued {
    object: usize,
    sent: u64,
    visible_at: u64,
    receives: u32,
}

struct RunningCrawl {
    started: u64,
    lists_at: u64,
    ends: u64,
    succeeds: bool,
}

struct Function {
    known: Known,
    busy: Option<(Handling, Vec<Queued>, BTreeSet<LakePartition>)>,
    next: u64,
}

struct World {
    rng: Rng,
    bug: Bug,
    crawl_on: CrawlOn,
    now: u64,
    epoch: Instant,
    arrivals: Vec<(u64, usize)>,
    sent: Vec<(u64, usize)>,
    objects: Vec<Object>,
    queue: Vec<Queued>,
    dead: BTreeSet<usize>,
    catalog: BTreeSet<LakePartition>,
    crawl: Option<RunningCrawl>,
    succeeded: Option<u64>,
    crawls: u64,
    /// Until then Glue answers with errors only.
    outage_until: u64,
    /// S3 never answers.
    is_s3_silent: bool,
}

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

impl World {
    fn new(seed: u64, bug: Bug) -> Self {
        let mut rng = Rng::with_seed(seed);
        let partitions = rng.i8(1..24);
        let burst = rng.u64(1..1_800_000);
        let objects: Vec<Object> = (0..rng.usize(1..60))
            .map(|_| {
                let partition =
                    LakePartition::parse("2026-11-21", &format!("{:02}", rng.i8(0..partitions)))
                        .expect("a partition");
                let created = rng.u64(0..burst);
                let fate = if bug == Bug::CatalogFirst {
                    u8::MAX
                } else {
                    rng.u8(0..12)
                };
                let deleted = (fate == 0).then(|| created + rng.u64(0..600_000));
                Object {
                    partition,
                    created,
                    deleted,
                    is_foreign: fate == 1,
                    is_crawled: false,
                }
            })
            .collect();
        let mut arrivals: Vec<(u64, usize)> = Vec::new();
        for (place, object) in objects.iter().enumerate() {
            for _ in 0..if rng.u8(0..10) == 0 { 2 } else { 1 } {
                arrivals.push((object.created + rng.u64(0..5_000), place));
            }
        }
        arrivals.sort_by(|a, b| b.cmp(a));
        let outage_until = match rng.u8(0..10) {
            0 => 20 * 3_600_000,
            1 | 2 => rng.u64(0..7_200_000),
            _ => 0,
        };
        let crawl_on = if rng.u8(0..3) == 0 {
            CrawlOn::EveryFile
        } else {
            CrawlOn::NewPartition
        };
        let is_s3_silent = rng.u8(0..10) == 0;
        Self {
            rng,
            bug,
            crawl_on,
            now: 0,
            epoch: Instant::now(),
            sent: arrivals.clone(),
            arrivals,
            objects,
            queue: Vec::new(),
            dead: BTreeSet::new(),
            catalog: BTreeSet::new(),
            crawl: None,
            succeeded: None,
            crawls: 0,
            outage_until,
            is_s3_silent,
        }
    }

    fn instant(&self) -> Instant {
        self.epoch + Duration::from_millis(self.now)
    }

    /// Runs until no message is left. The error describes the broken guarantee.
    fn run(&mut self) -> Result<(), String> {
        let mut functions = [(); 2].map(|()| Function {
            known: Known::default(),
            busy: None,
            next: 0,
        });
        loop {
            while let Some((due, object)) = self.arrivals.pop_if(|(due, _)| *due <= self.now) {
                self.queue.push(Queued {
                    object,
                    sent: due,
                    visible_at: due,
                    receives: 0,
                });
            }
            self.crawl()?;
            for function in &mut functions {
                if function.next <= self.now {
                    self.step(function)?;
                }
            }
            let is_idle = functions.iter().all(|function| function.busy.is_none());
            if self.arrivals.is_empty() && self.queue.is_empty() && is_idle {
                break;
            }
            let busy = functions
                .iter()
                .filter(|function| function.busy.is_some())
                .map(|function| function.next);
            let crawl = self
                .crawl
                .iter()
                .flat_map(|crawl| [crawl.lists_at, crawl.ends]);
            let arrivals = self.arrivals.last().map(|(due, _)| *due);
            let next = busy
                .chain(crawl)
                .chain(arrivals)
                .chain(self.queue.iter().map(|queued| queued.visible_at));
            self.now = next
                .filter(|next| *next > self.now)
                .min()
                .unwrap_or(self.now + 1);
        }
        let without_a_reason = self
            .dead
            .iter()
            .find(|object| !self.objects[**object].is_foreign);
        if let Some(object) =
            without_a_reason.filter(|_| self.outage_until < 3_600_000 && !self.is_s3_silent)
        {
            return Err(format!(
                "object {object} is in the dead-letter queue without a reason"
            ));
        }
        let lost = (0..self.objects.len())
            .find(|object| !self.is_settled(*object) && !self.dead.contains(object));
        lost.map_or(Ok(()), |object| {
            Err(format!(
                "object {object} is neither covered nor gone nor in the dead-letter queue"
            ))
        })
    }

    fn is_settled(&self, object: usize) -> bool {
        self.is_covered(object) || self.is_gone(object, self.now)
    }

    fn is_gone(&self, object: usize, at: u64) -> bool {
        self.objects[object]
            .deleted
            .is_some_and(|deleted| deleted <= at)
    }

    fn is_covered(&self, object: usize) -> bool {
        match self.crawl_on {
            CrawlOn::NewPartition => self.catalog.contains(&self.objects[object].partition),
            CrawlOn::EveryFile => self.objects[object].is_crawled,
        }
    }

    fn crawl(&mut self) -> Result<(), String> {
        let Some(crawl) = self.crawl.take_if(|crawl| crawl.ends <= self.now) else {
            return Ok(());
        };
        // Glue reports only the last crawl.
        let before =
            std::mem::replace(&mut self.succeeded, crawl.succeeds.then_some(crawl.started));
        if !crawl.succeeds {
            return Ok(());
        }
        self.crawls += 1;
        let known = self.catalog.len();
        for object in self
            .objects
            .iter_mut()
            .filter(|object| object.created < crawl.lists_at)
        {
            object.is_crawled = true;
            if !object.is_foreign
                && object
                    .deleted
                    .is_none_or(|deleted| deleted > crawl.lists_at)
            {
                self.catalog.insert(object.partition);
            }
        }
        // With every-file, an object that came while a crawl was listing has to ask for
        // another one, even if the crawl has seen it.
        if self.crawl_on == CrawlOn::EveryFile || self.catalog.len() > known {
            return Ok(());
        }
        let is_passed_over =
            |object: usize| self.objects[object].is_foreign || self.is_gone(object, crawl.lists_at);
        let since = before.unwrap_or_default()..=crawl.started;
        let is_first = self.sent.iter().any(|(sent, object)| {
            since.contains(sent) && is_passed_over(*object) && !self.is_covered(*object)
        });
        if is_first {
            Ok(())
        } else {
            Err(format!(
                "the crawl of {} has found nothing new",
                crawl.started
            ))
        }
    }

    fn step(&mut self, function: &mut Function) -> Result<(), String> {
        let Some((handling, batch, before)) = &mut function.busy else {
            self.receive(function);
            return Ok(());
        };
        if self.rng.u8(0..100) == 0 {
            // The process dies; its messages come back.
            self.queue.append(batch);
            *function = Function {
                known: Known::default(),
                busy: None,
                next: self.now + 1,
            };
            return Ok(());
        }
        let answer = self.answer(handling.ask(), before);
        if let (Ask::Partitions(_), Answer::Partitions(found)) = (handling.ask(), &answer) {
            function.known.learn(
                found.iter().copied(),
                self.epoch + Duration::from_millis(self.now),
            );
        }
        if handling.ask() != &Ask::Nothing {
            handling.answered(answer);
            function.next = self.now + self.rng.u64(1..1_500);
            return Ok(());
        }
        let outcome = handling.outcome();
        for (place, queued) in std::mem::take(batch).into_iter().enumerate() {
            let is_wrong =
                self.bug == Bug::AcknowledgeWhileRunning && outcome.crawl == Crawl::Running;
            if outcome.deferred.contains(&place) && !is_wrong {
                self.queue.push(queued);
            } else if !self.is_settled(queued.object) {
                return Err(format!(
                    "object {} is acknowledged, but it is neither covered nor gone",
                    queued.object
                ));
            }
        }
        function.busy = None;
        function.next = self.now + 1;
        Ok(())
    }

    fn receive(&mut self, function: &mut Function) {
        let max_messages = self.rng.usize(1..20);
        let mut batch = Vec::new();
        let mut place = 0;
        while place < self.queue.len() && batch.len() < max_messages {
            if self.queue[place].visible_at > self.now {
                place += 1;
                continue;
            }
            let mut queued = self.queue.swap_remove(place);
            if queued.receives == MAX_RECEIVES {
                self.dead.insert(queued.object);
                continue;
            }
            queued.visible_at = self.now + VISIBILITY_TIMEOUT_MS;
            queued.receives += 1;
            batch.push(queued);
        }
        if !batch.is_empty() {
            let want = |queued: &Queued| {
                let object = &self.objects[queued.object];
                let version = ObjectVersion {
                    bucket: "lake".into(),
                    key: queued.object.to_string(),
                    version_id: None,
                    etag: None,
                };
                let wanted = Wanted {
                    object: version,
                    partition: Some(object.partition),
                    created_by: Some(at(object.created)),
                };
                Want {
                    objects: vec![wanted],
                    ignored: vec![],
                    sent: (!matches!(self.bug, Bug::StartForever | Bug::CatalogFirst))
                        .then_some(at(queued.sent)),
                    receives: if self.bug == Bug::NeverLook {
                        1
                    } else {
                        queued.receives
                    },
                }
            };
            let handling = Handling::new(
                self.crawl_on,
                batch.iter().map(want).enumerate().collect(),
                function.known.fresh(self.instant()),
            );
            function.busy = Some((handling, batch, self.catalog.clone()));
            function.next = self.now + self.rng.u64(1..1_500);
        }
    }

    fn answer(&mut self, ask: &Ask, before: &BTreeSet<LakePartition>) -> Answer {
        if let Ask::Objects(objects) = ask {
            if self.is_s3_silent || self.rng.u8(0..20) == 0 {
                return Answer::Gone(if self.bug == Bug::SilenceIsGone {
                    objects.clone()
                } else {
                    BTreeSet::new()
                });
            }
            let is_gone = |object: &&ObjectVersion| {
                object
                    .key
                    .parse()
                    .is_ok_and(|object| self.is_gone(object, self.now))
            };
            return Answer::Gone(objects.iter().filter(is_gone).cloned().collect());
        }
        if self.now < self.outage_until || self.rng.u8(0..20) == 0 {
            return Answer::Failed;
        }
        match ask {
            Ask::Crawler => Answer::Crawler(CrawlerSeen {
                is_running: self.crawl.is_some(),
                succeeded: self.succeeded.map(at),
            }),
            Ask::Partitions(partitions) => {
                let catalog = if self.bug == Bug::CatalogFirst {
                    before
                } else {
                    &self.catalog
                };
                Answer::Partitions(partitions & catalog)
            }
            Ask::Start if self.crawl.is_some() => Answer::AlreadyRunning,
            Ask::Start => {
                let lists_at = self.now + self.rng.u64(1..20_000);
                let ends = self.now + self.rng.u64(20_000..180_000);
                self.crawl = Some(RunningCrawl {
                    started: self.now,
                    lists_at,
                    ends,
                    succeeds: self.rng.u8(0..6) > 0,
                });
                Answer::Started
            }
            Ask::Objects(_) | Ask::Nothing => Answer::Failed,
        }
    }
}

#[test]
fn every_object_is_covered_or_gone_or_a_dead_letter_and_no_crawl_is_wasted() {
    let mut crawls = 0;
    let mut outage = 0;
    let mut foreign = 0;
    for seed in 0..SEEDS {
        let mut world = World::new(seed, Bug::None);
        world
            .run()
            .unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        let of_foreign = world
            .dead
            .iter()
            .filter(|object| world.objects[**object].is_foreign)
            .count();
        crawls += world.crawls;
        outage += world.dead.len() - of_foreign;
        foreign += of_foreign;
    }
    // A model in which nothing happens proves nothing.
    assert!(
        crawls > SEEDS && outage > 0 && foreign > 0,
        "{crawls} crawls, {outage} and {foreign} dead letters"
    );
}

#[test]
fn the_model_finds_defects_built_in_on_purpose() {
    for (bug, wanted) in [
        (Bug::AcknowledgeWhileRunning, "neither covered nor gone"),
        (Bug::CatalogFirst, "has found nothing new"),
        (Bug::StartForever, "has found nothing new"),
        (Bug::NeverLook, "in the dead-letter queue without a reason"),
        (Bug::SilenceIsGone, "neither covered nor gone"),
    ] {
        let is_found = |seed| {
            World::new(seed, bug)
                .run()
                .is_err_and(|fault| fault.contains(wanted))
        };
        assert!((0..SEEDS).any(is_found), "{bug:?} is not found");
    }
}
