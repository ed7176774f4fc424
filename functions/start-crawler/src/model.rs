//! Drives [`Handling`] as it is against a model of SQS, Glue and two warm functions: random arrivals, repeats, crawl durations, failures,
//! outages and crashes. Whatever is acknowledged is covered at that moment (G5), and every crawl that succeeds finds something new (G6).
//! A failure names its seed, which makes it again.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use lake::LakePartition;
use tokio::time::Instant;

use crate::handling::{Ask, Crawl, CrawlOn, CrawlerSeen, Handling, Told};
use crate::known::Known;
use crate::want::{Want, Wanted};

const SEEDS: u64 = 300;
/// The queue's settings in template.yaml: milliseconds, receives.
const VISIBILITY: u64 = 300_000;
const RECEIVES: u32 = 144;

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// Messages are acknowledged where a crawl is running, as if it covered them.
    AcknowledgeWhileRunning,
    /// The catalog is asked before the crawler.
    CatalogFirst,
}

struct Object {
    partition: LakePartition,
    created: u64,
    is_crawled: bool,
}

struct Queued {
    object: usize,
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
    objects: Vec<Object>,
    queue: Vec<Queued>,
    dead: BTreeSet<usize>,
    catalog: BTreeSet<LakePartition>,
    crawl: Option<RunningCrawl>,
    succeeded: Option<u64>,
    crawls: u64,
    /// Glue answers nothing but errors until then.
    outage_until: u64,
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
            .map(|_| Object {
                partition: LakePartition::parse("2026-11-21", &format!("{:02}", rng.i8(0..partitions))).expect("a partition"),
                created: rng.u64(0..burst),
                is_crawled: false,
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
        let crawl_on = if rng.u8(0..3) == 0 { CrawlOn::EveryFile } else { CrawlOn::NewPartition };
        Self {
            rng,
            bug,
            crawl_on,
            now: 0,
            epoch: Instant::now(),
            arrivals,
            objects,
            queue: Vec::new(),
            dead: BTreeSet::new(),
            catalog: BTreeSet::new(),
            crawl: None,
            succeeded: None,
            crawls: 0,
            outage_until,
        }
    }

    fn instant(&self) -> Instant {
        self.epoch + Duration::from_millis(self.now)
    }

    /// Runs until no message is left; returns what went wrong.
    fn run(&mut self) -> Result<(), String> {
        let mut functions = [(); 2].map(|()| Function { known: Known::default(), busy: None, next: 0 });
        loop {
            while let Some((due, object)) = self.arrivals.pop_if(|(due, _)| *due <= self.now) {
                self.queue.push(Queued { object, visible_at: due, receives: 0 });
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
            let busy = functions.iter().filter(|function| function.busy.is_some()).map(|function| function.next);
            let crawl = self.crawl.iter().flat_map(|crawl| [crawl.lists_at, crawl.ends]);
            let arrivals = self.arrivals.last().map(|(due, _)| *due);
            let next = busy.chain(crawl).chain(arrivals).chain(self.queue.iter().map(|queued| queued.visible_at));
            self.now = next.filter(|next| *next > self.now).min().unwrap_or(self.now + 1);
        }
        if self.outage_until < 3_600_000 && !self.dead.is_empty() {
            return Err(format!("objects {:?} are in the dead-letter queue without a reason", self.dead));
        }
        let lost = (0..self.objects.len()).find(|object| !self.is_covered(*object) && !self.dead.contains(object));
        lost.map_or(Ok(()), |object| Err(format!("object {object} is neither covered nor in the dead-letter queue")))
    }

    fn is_covered(&self, object: usize) -> bool {
        match self.crawl_on {
            CrawlOn::NewPartition => self.catalog.contains(&self.objects[object].partition),
            CrawlOn::EveryFile => self.objects[object].is_crawled,
        }
    }

    fn crawl(&mut self) -> Result<(), String> {
        let Some(crawl) = self.crawl.take_if(|crawl| crawl.ends <= self.now) else { return Ok(()) };
        // Glue tells of the last crawl only.
        self.succeeded = crawl.succeeds.then_some(crawl.started);
        if !crawl.succeeds {
            return Ok(());
        }
        self.crawls += 1;
        let known = self.catalog.len();
        for object in self.objects.iter_mut().filter(|object| object.created < crawl.lists_at) {
            self.catalog.insert(object.partition);
            object.is_crawled = true;
        }
        // Every file: an object that came while a crawl was listing has to ask for one more, whether it was seen or not.
        let is_wasted = self.crawl_on == CrawlOn::NewPartition && self.catalog.len() == known;
        if is_wasted { Err(format!("the crawl of {} has found nothing new", crawl.started)) } else { Ok(()) }
    }

    fn step(&mut self, function: &mut Function) -> Result<(), String> {
        let Some((handling, batch, before)) = &mut function.busy else {
            self.receive(function);
            return Ok(());
        };
        if self.rng.u8(0..100) == 0 {
            // The process dies; what it held comes back.
            self.queue.append(batch);
            *function = Function { known: Known::default(), busy: None, next: self.now + 1 };
            return Ok(());
        }
        let told = self.glue(handling.ask(), before);
        if let (Ask::Partitions(_), Told::Partitions(found)) = (handling.ask(), &told) {
            function.known.learn(found.iter().copied(), self.epoch + Duration::from_millis(self.now));
        }
        if handling.ask() != &Ask::Nothing {
            handling.told(told);
            function.next = self.now + self.rng.u64(1..1_500);
            return Ok(());
        }
        let outcome = handling.outcome();
        for (place, queued) in std::mem::take(batch).into_iter().enumerate() {
            let is_wrong = self.bug == Bug::AcknowledgeWhileRunning && outcome.crawl == Crawl::Running;
            if outcome.deferred.contains(&place) && !is_wrong {
                self.queue.push(queued);
            } else if !self.is_covered(queued.object) {
                return Err(format!("object {} is acknowledged, but the catalog does not cover it", queued.object));
            }
        }
        function.busy = None;
        function.next = self.now + 1;
        Ok(())
    }

    fn receive(&mut self, function: &mut Function) {
        let most = self.rng.usize(1..20);
        let mut batch = Vec::new();
        let mut place = 0;
        while place < self.queue.len() && batch.len() < most {
            if self.queue[place].visible_at > self.now {
                place += 1;
                continue;
            }
            let mut queued = self.queue.swap_remove(place);
            if queued.receives == RECEIVES {
                self.dead.insert(queued.object);
                continue;
            }
            (queued.visible_at, queued.receives) = (self.now + VISIBILITY, queued.receives + 1);
            batch.push(queued);
        }
        if !batch.is_empty() {
            let want = |queued: &Queued| {
                let object = &self.objects[queued.object];
                Want { objects: vec![Wanted { partition: Some(object.partition), created_by: Some(at(object.created)) }], ignored: vec![] }
            };
            let handling = Handling::new(self.crawl_on, batch.iter().map(want).enumerate().collect(), function.known.fresh(self.instant()));
            function.busy = Some((handling, batch, self.catalog.clone()));
            function.next = self.now + self.rng.u64(1..1_500);
        }
    }

    fn glue(&mut self, ask: &Ask, before: &BTreeSet<LakePartition>) -> Told {
        if self.now < self.outage_until || self.rng.u8(0..20) == 0 {
            return Told::Failed;
        }
        match ask {
            Ask::Crawler => Told::Crawler(CrawlerSeen { is_running: self.crawl.is_some(), succeeded: self.succeeded.map(at) }),
            Ask::Partitions(partitions) => {
                let catalog = if self.bug == Bug::CatalogFirst { before } else { &self.catalog };
                Told::Partitions(partitions & catalog)
            }
            Ask::Start if self.crawl.is_some() => Told::AlreadyRunning,
            Ask::Start => {
                let (lists_at, ends) = (self.now + self.rng.u64(1..20_000), self.now + self.rng.u64(20_000..180_000));
                self.crawl = Some(RunningCrawl { started: self.now, lists_at, ends, succeeds: self.rng.u8(0..6) > 0 });
                Told::Started
            }
            Ask::Nothing => Told::Failed,
        }
    }
}

#[test]
fn every_object_is_covered_or_a_dead_letter_and_no_crawl_is_wasted() {
    let (mut crawls, mut dead) = (0, 0);
    for seed in 0..SEEDS {
        let mut world = World::new(seed, Bug::None);
        world.run().unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        (crawls, dead) = (crawls + world.crawls, dead + world.dead.len());
    }
    // A model in which nothing happens would prove nothing.
    assert!(crawls > SEEDS && dead > 0, "{crawls} crawls, {dead} dead letters");
}

#[test]
fn the_model_finds_what_is_broken_on_purpose() {
    for bug in [Bug::AcknowledgeWhileRunning, Bug::CatalogFirst] {
        assert!((0..SEEDS).any(|seed| World::new(seed, bug).run().is_err()), "{bug:?} is not found");
    }
}
