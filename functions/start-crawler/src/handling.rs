//! What becomes of a batch, as a state machine without I/O: it says what to ask Glue, is told the answer, and ends with an [`Outcome`].
//!
//! The order of the questions keeps G6. The crawler's state is asked *before* the catalog: a crawl that had ended by then has added its
//! partitions, so what the catalog does not know afterwards was not covered by it; a crawl that was running then starts no other. Had the
//! catalog been asked first, a crawl could end in between, and the next one would be started for what is covered already. Two functions
//! that both find the crawler ready both call StartCrawler; Glue starts one crawl and answers the other CrawlerRunningException.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use lake::LakePartition;

use crate::want::Want;

/// What a crawl is due for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrawlOn {
    /// An object in a partition that the catalog does not know: for the typed table, whose columns never change.
    NewPartition,
    /// Every object that no successful crawl has begun after: for an inferred table, whose files may bring new columns.
    EveryFile,
}

/// What Glue says of the crawler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CrawlerSeen {
    /// Whether it runs, or is stopping: StartCrawler would be refused.
    pub(crate) is_running: bool,
    /// When its last crawl began, if that has succeeded.
    pub(crate) succeeded: Option<SystemTime>,
}

/// What to ask Glue next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The crawler's state.
    Crawler,
    /// Which of these partitions the catalog has.
    Partitions(BTreeSet<LakePartition>),
    /// To start the crawler.
    Start,
    /// Nothing more.
    Nothing,
}

/// What Glue has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// The crawler's state.
    Crawler(CrawlerSeen),
    /// Those of the partitions that the catalog has.
    Partitions(BTreeSet<LakePartition>),
    /// A crawl has started.
    Started,
    /// One was running already; it may have listed the bucket before the object came.
    AlreadyRunning,
    /// No answer, or an error.
    Failed,
}

/// What was done about a crawl.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crawl {
    /// None was due.
    NotDue,
    /// One was due, but one is running.
    Running,
    /// One has started.
    Started,
    /// Glue did not answer, or with an error.
    Failed,
}

/// What becomes of the messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The messages that wait, by their place in the batch.
    pub(crate) deferred: Vec<usize>,
    /// What was done about a crawl.
    pub(crate) crawl: Crawl,
}

/// A batch that is being handled.
#[derive(Debug)]
pub(crate) struct Handling {
    crawl_on: CrawlOn,
    wants: BTreeMap<usize, Want>,
    known: BTreeSet<LakePartition>,
    succeeded: Option<SystemTime>,
    is_running: bool,
    ask: Ask,
    crawl: Crawl,
}

impl Handling {
    /// Begins to handle what messages want, by their place in the batch; `known` are the partitions that the catalog is known to have.
    pub(crate) fn new(crawl_on: CrawlOn, wants: BTreeMap<usize, Want>, known: BTreeSet<LakePartition>) -> Self {
        let mut handling = Self { crawl_on, wants, known, succeeded: None, is_running: false, ask: Ask::Nothing, crawl: Crawl::NotDue };
        if !handling.deferred().is_empty() {
            handling.ask = Ask::Crawler;
        }
        handling
    }

    /// Returns what to ask next.
    pub(crate) fn ask(&self) -> &Ask {
        &self.ask
    }

    /// Takes the answer to what was asked.
    pub(crate) fn told(&mut self, told: Told) {
        self.ask = match (std::mem::replace(&mut self.ask, Ask::Nothing), told) {
            (Ask::Crawler, Told::Crawler(seen)) => {
                (self.is_running, self.succeeded) = (seen.is_running, seen.succeeded);
                match self.crawl_on {
                    CrawlOn::NewPartition => Ask::Partitions(self.unknown()),
                    CrawlOn::EveryFile => self.start(),
                }
            }
            (Ask::Partitions(_), Told::Partitions(found)) => {
                self.known.extend(found);
                self.start()
            }
            (Ask::Start, Told::Started) => self.end(Crawl::Started),
            (Ask::Start, Told::AlreadyRunning) => self.end(Crawl::Running),
            // What is not known to be covered waits; no crawl is started blindly.
            _ => self.end(Crawl::Failed),
        };
    }

    /// Returns what becomes of the messages: whatever Glue has not shown to be covered waits (G5).
    pub(crate) fn outcome(&self) -> Outcome {
        Outcome { deferred: self.deferred(), crawl: self.crawl }
    }

    /// Returns what the messages want, by their place in the batch.
    pub(crate) fn wants(&self) -> &BTreeMap<usize, Want> {
        &self.wants
    }

    fn start(&mut self) -> Ask {
        match (self.deferred().is_empty(), self.is_running) {
            (true, _) => Ask::Nothing,
            (false, true) => self.end(Crawl::Running),
            (false, false) => Ask::Start,
        }
    }

    fn end(&mut self, crawl: Crawl) -> Ask {
        self.crawl = crawl;
        Ask::Nothing
    }

    fn deferred(&self) -> Vec<usize> {
        self.wants.iter().filter(|(_, want)| !self.is_covered(want)).map(|(place, _)| *place).collect()
    }

    fn is_covered(&self, want: &Want) -> bool {
        want.objects.iter().all(|object| match self.crawl_on {
            // No partition of the table could ever cover an object outside of the lake's folders.
            CrawlOn::NewPartition => object.partition.is_none_or(|partition| self.known.contains(&partition)),
            CrawlOn::EveryFile => object.created_by.zip(self.succeeded).is_some_and(|(created, crawl)| created < crawl),
        })
    }

    fn unknown(&self) -> BTreeSet<LakePartition> {
        let partitions = self.wants.values().flat_map(|want| &want.objects).filter_map(|object| object.partition);
        partitions.filter(|partition| !self.known.contains(partition)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::want::Wanted;

    fn partition(hr: &str) -> LakePartition {
        LakePartition::parse("2026-11-21", hr).expect("a partition")
    }

    fn want(partitions: &[&str], created_by: u64) -> Want {
        let created_by = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(created_by));
        let wanted = |hr: &&str| Wanted { partition: Some(partition(hr)), created_by };
        Want { objects: partitions.iter().map(wanted).collect(), ignored: vec![] }
    }

    fn begin(crawl_on: CrawlOn, wants: &[Want], known: &[&str]) -> Handling {
        Handling::new(crawl_on, wants.iter().cloned().enumerate().collect(), known.iter().map(|hr| partition(hr)).collect())
    }

    const READY: Told = Told::Crawler(CrawlerSeen { is_running: false, succeeded: None });

    #[test]
    fn known_partitions_ask_nothing() {
        let handling = begin(CrawlOn::NewPartition, &[want(&["05"], 1), want(&[], 1)], &["05"]);
        assert_eq!(handling.ask(), &Ask::Nothing);
        assert_eq!(handling.outcome(), Outcome { deferred: vec![], crawl: Crawl::NotDue });
    }

    #[test]
    fn unknown_partitions_are_looked_up_once_and_start_one_crawl() {
        let wants = vec![want(&["05"], 1), want(&["05", "06"], 1), want(&["07"], 1), want(&["07", "08"], 1)];
        let mut handling = begin(CrawlOn::NewPartition, &wants, &["05"]);
        assert_eq!(handling.ask(), &Ask::Crawler);
        handling.told(READY);
        assert_eq!(handling.ask(), &Ask::Partitions(["06", "07", "08"].map(partition).into()));
        handling.told(Told::Partitions([partition("07")].into()));
        assert_eq!(handling.ask(), &Ask::Start);
        handling.told(Told::Started);
        assert_eq!((handling.ask(), handling.outcome()), (&Ask::Nothing, Outcome { deferred: vec![1, 3], crawl: Crawl::Started }));
    }

    #[test]
    fn a_running_crawl_starts_no_other_and_acknowledges_nothing() {
        for told in [
            vec![Told::Crawler(CrawlerSeen { is_running: true, succeeded: None }), Told::Partitions([].into())],
            vec![READY, Told::Partitions([].into()), Told::AlreadyRunning],
        ] {
            let mut handling = begin(CrawlOn::NewPartition, &[want(&["05"], 1)], &[]);
            told.into_iter().for_each(|told| handling.told(told));
            assert_eq!((handling.ask(), handling.outcome()), (&Ask::Nothing, Outcome { deferred: vec![0], crawl: Crawl::Running }));
        }
    }

    #[test]
    fn what_glue_does_not_say_is_not_covered() {
        for told in [vec![Told::Failed], vec![READY, Told::Failed], vec![READY, Told::Partitions([].into()), Told::Failed]] {
            let mut handling = begin(CrawlOn::NewPartition, &[want(&["05"], 1), want(&["06"], 1)], &["06"]);
            told.into_iter().for_each(|told| handling.told(told));
            assert_eq!((handling.ask(), handling.outcome()), (&Ask::Nothing, Outcome { deferred: vec![0], crawl: Crawl::Failed }));
        }
    }

    #[test]
    fn every_file_is_covered_by_a_successful_crawl_that_began_after_it() {
        let seen = |is_running, succeeded| {
            Told::Crawler(CrawlerSeen { is_running, succeeded: SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(succeeded)) })
        };
        let wants = vec![want(&["05"], 10), want(&["05"], 20), want(&["05"], 30)];
        let mut handling = begin(CrawlOn::EveryFile, &wants, &["05"]);
        handling.told(seen(false, 20));
        assert_eq!((handling.ask(), handling.outcome().deferred), (&Ask::Start, vec![1, 2]));
        let mut handling = begin(CrawlOn::EveryFile, &wants, &[]);
        handling.told(seen(true, 31));
        assert_eq!((handling.ask(), handling.outcome()), (&Ask::Nothing, Outcome { deferred: vec![], crawl: Crawl::NotDue }));
    }
}
