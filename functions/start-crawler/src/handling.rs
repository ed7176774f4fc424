//! What becomes of a batch, as a state machine without I/O: it says what to ask Glue and
//! S3, is told the answer, and ends with an [`Outcome`].
//!
//! The order of the questions keeps G6. The crawler's state is asked *before* the
//! catalog: a crawl that had ended by then has added its partitions, so what the catalog
//! does not know afterwards was not covered by it; a crawl that was running then starts
//! no other. Had the catalog been asked first, a crawl could end in between, and the next
//! one would be started for what is covered already. Two functions that both find the
//! crawler ready both call StartCrawler; Glue starts one crawl and answers the other
//! CrawlerRunningException.
//!
//! Some objects no crawl ever covers. One that was deleted before its crawl: if its
//! message comes a second time, S3 is asked whether the object is still there, and the
//! message of one that is gone is acknowledged. One that the crawler makes no partition
//! of, such as a file of somebody else: a crawl that began after its message and
//! succeeded has passed it over, and no other is started for it. Its message still waits:
//! for a crawl that is started by hand or for other objects, or for the dead-letter
//! queue.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use lake_layout::LakePartition;
use object_event::ObjectVersion;

use crate::want::{Want, Wanted};

/// What a crawl is due for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrawlOn {
    /// An object in a partition that the catalog does not know: for the typed table,
    /// whose columns never change.
    NewPartition,
    /// Every object that no successful crawl has begun after: for an inferred table,
    /// whose files may bring new columns.
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

/// What to ask next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The crawler's state.
    Crawler,
    /// Which of these partitions the catalog has.
    Partitions(BTreeSet<LakePartition>),
    /// Which of these objects are gone.
    Objects(BTreeSet<ObjectVersion>),
    /// To start the crawler.
    Start,
    /// Nothing more.
    Nothing,
}

/// What the answer was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// The crawler's state.
    Crawler(CrawlerSeen),
    /// Those of the partitions that the catalog has.
    Partitions(BTreeSet<LakePartition>),
    /// Those of the objects that are gone.
    Gone(BTreeSet<ObjectVersion>),
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
    /// None was due: a crawl has succeeded that began after what waits, and has not
    /// covered it.
    PassedOver,
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
    gone: BTreeSet<ObjectVersion>,
    succeeded: Option<SystemTime>,
    is_running: bool,
    ask: Ask,
    crawl: Crawl,
}

impl Handling {
    /// Begins to handle what messages want, by their place in the batch; `known` are the
    /// partitions that the catalog is known to have.
    pub(crate) fn new(
        crawl_on: CrawlOn,
        wants: BTreeMap<usize, Want>,
        known: BTreeSet<LakePartition>,
    ) -> Self {
        let (gone, ask) = (BTreeSet::new(), Ask::Nothing);
        let mut handling = Self {
            crawl_on,
            wants,
            known,
            gone,
            succeeded: None,
            is_running: false,
            ask,
            crawl: Crawl::NotDue,
        };
        if handling.waiting().next().is_some() {
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
                    CrawlOn::EveryFile => self.look(),
                }
            }
            (Ask::Partitions(_), Told::Partitions(found)) => {
                self.known.extend(found);
                self.look()
            }
            (Ask::Objects(_), Told::Gone(gone)) => {
                self.gone = gone;
                self.start()
            }
            (Ask::Start, Told::Started) => self.end(Crawl::Started),
            (Ask::Start, Told::AlreadyRunning) => self.end(Crawl::Running),
            // What is not known to be covered waits; no crawl is started blindly.
            _ => self.end(Crawl::Failed),
        };
    }

    /// Returns what becomes of the messages: whatever waits for an object that is neither
    /// covered nor gone waits on (G5).
    pub(crate) fn outcome(&self) -> Outcome {
        Outcome {
            deferred: self.waiting().map(|(place, _)| place).collect(),
            crawl: self.crawl,
        }
    }

    /// Returns the objects that are gone.
    pub(crate) fn gone(&self) -> &BTreeSet<ObjectVersion> {
        &self.gone
    }

    /// Returns what the messages want, by their place in the batch.
    pub(crate) fn wants(&self) -> &BTreeMap<usize, Want> {
        &self.wants
    }

    /// Asks for the objects whose message has come back, unless no crawl could be started
    /// for them anyway.
    fn look(&mut self) -> Ask {
        let returned = self
            .waiting()
            .filter(|(_, want)| !self.is_running && want.receives > 1)
            .flat_map(|(_, want)| &want.objects);
        let returned: BTreeSet<ObjectVersion> = returned
            .filter(|wanted| !self.is_settled(wanted))
            .map(|wanted| wanted.object.clone())
            .collect();
        if returned.is_empty() {
            self.start()
        } else {
            Ask::Objects(returned)
        }
    }

    fn start(&mut self) -> Ask {
        if self.waiting().next().is_none() {
            Ask::Nothing
        } else if self.is_running {
            self.end(Crawl::Running)
        } else if self.waiting().all(|(_, want)| self.is_passed_over(want)) {
            self.end(Crawl::PassedOver)
        } else {
            Ask::Start
        }
    }

    fn end(&mut self, crawl: Crawl) -> Ask {
        self.crawl = crawl;
        Ask::Nothing
    }

    /// Returns the messages with an object that is neither covered nor gone.
    fn waiting(&self) -> impl Iterator<Item = (usize, &Want)> {
        self.wants
            .iter()
            .filter(|(_, want)| !want.objects.iter().all(|wanted| self.is_settled(wanted)))
            .map(|(place, want)| (*place, want))
    }

    fn is_settled(&self, wanted: &Wanted) -> bool {
        let is_covered = match self.crawl_on {
            // No partition of the table could ever cover an object outside of the lake's
            // folders.
            CrawlOn::NewPartition => wanted
                .partition
                .is_none_or(|partition| self.known.contains(&partition)),
            CrawlOn::EveryFile => wanted
                .created_by
                .zip(self.succeeded)
                .is_some_and(|(created, crawl)| created < crawl),
        };
        is_covered || self.gone.contains(&wanted.object)
    }

    /// By the time of the message, not of the object: a message that is sent again asks
    /// for a crawl again.
    fn is_passed_over(&self, want: &Want) -> bool {
        want.sent
            .zip(self.succeeded)
            .is_some_and(|(sent, crawl)| sent < crawl)
    }

    fn unknown(&self) -> BTreeSet<LakePartition> {
        let partitions = self
            .wants
            .values()
            .flat_map(|want| &want.objects)
            .filter_map(|object| object.partition);
        partitions
            .filter(|partition| !self.known.contains(partition))
            .collect()
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

    fn at(seconds: u64) -> Option<SystemTime> {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }

    fn object(hr: &str) -> ObjectVersion {
        ObjectVersion {
            bucket: "lake".into(),
            key: format!("ticks/dt=2026-11-21/hr={hr}/a"),
            version_id: None,
            etag: None,
        }
    }

    fn want(partitions: &[&str], created_by: u64) -> Want {
        let wanted = |hr: &&str| Wanted {
            object: object(hr),
            partition: Some(partition(hr)),
            created_by: at(created_by),
        };
        Want {
            objects: partitions.iter().map(wanted).collect(),
            ignored: vec![],
            sent: at(created_by),
            receives: 1,
        }
    }

    fn begin(crawl_on: CrawlOn, wants: &[Want], known: &[&str]) -> Handling {
        Handling::new(
            crawl_on,
            wants.iter().cloned().enumerate().collect(),
            known.iter().map(|hr| partition(hr)).collect(),
        )
    }

    fn seen(is_running: bool, succeeded: u64) -> Told {
        Told::Crawler(CrawlerSeen {
            is_running,
            succeeded: at(succeeded),
        })
    }

    const READY: Told = Told::Crawler(CrawlerSeen {
        is_running: false,
        succeeded: None,
    });

    #[test]
    fn known_partitions_ask_nothing() {
        let handling = begin(
            CrawlOn::NewPartition,
            &[want(&["05"], 1), want(&[], 1)],
            &["05"],
        );
        assert_eq!(handling.ask(), &Ask::Nothing);
        assert_eq!(
            handling.outcome(),
            Outcome {
                deferred: vec![],
                crawl: Crawl::NotDue
            }
        );
    }

    #[test]
    fn unknown_partitions_are_looked_up_once_and_start_one_crawl() {
        let wants = vec![
            want(&["05"], 1),
            want(&["05", "06"], 1),
            want(&["07"], 1),
            want(&["07", "08"], 1),
        ];
        let mut handling = begin(CrawlOn::NewPartition, &wants, &["05"]);
        assert_eq!(handling.ask(), &Ask::Crawler);
        handling.told(READY);
        assert_eq!(
            handling.ask(),
            &Ask::Partitions(["06", "07", "08"].map(partition).into())
        );
        handling.told(Told::Partitions([partition("07")].into()));
        assert_eq!(handling.ask(), &Ask::Start);
        handling.told(Told::Started);
        assert_eq!(
            (handling.ask(), handling.outcome()),
            (
                &Ask::Nothing,
                Outcome {
                    deferred: vec![1, 3],
                    crawl: Crawl::Started
                }
            )
        );
    }

    #[test]
    fn a_running_crawl_starts_no_other_and_acknowledges_nothing() {
        for told in [
            vec![
                Told::Crawler(CrawlerSeen {
                    is_running: true,
                    succeeded: None,
                }),
                Told::Partitions([].into()),
            ],
            vec![READY, Told::Partitions([].into()), Told::AlreadyRunning],
        ] {
            let mut handling = begin(CrawlOn::NewPartition, &[want(&["05"], 1)], &[]);
            told.into_iter().for_each(|told| handling.told(told));
            assert_eq!(
                (handling.ask(), handling.outcome()),
                (
                    &Ask::Nothing,
                    Outcome {
                        deferred: vec![0],
                        crawl: Crawl::Running
                    }
                )
            );
        }
    }

    #[test]
    fn what_glue_does_not_say_is_not_covered() {
        for told in [
            vec![Told::Failed],
            vec![READY, Told::Failed],
            vec![READY, Told::Partitions([].into()), Told::Failed],
        ] {
            let mut handling = begin(
                CrawlOn::NewPartition,
                &[want(&["05"], 1), want(&["06"], 1)],
                &["06"],
            );
            told.into_iter().for_each(|told| handling.told(told));
            assert_eq!(
                (handling.ask(), handling.outcome()),
                (
                    &Ask::Nothing,
                    Outcome {
                        deferred: vec![0],
                        crawl: Crawl::Failed
                    }
                )
            );
        }
    }

    #[test]
    fn every_file_is_covered_by_a_successful_crawl_that_began_after_it() {
        let wants = vec![want(&["05"], 10), want(&["05"], 20), want(&["05"], 30)];
        let mut handling = begin(CrawlOn::EveryFile, &wants, &["05"]);
        handling.told(seen(false, 20));
        assert_eq!(
            (handling.ask(), handling.outcome().deferred),
            (&Ask::Start, vec![1, 2])
        );
        let mut handling = begin(CrawlOn::EveryFile, &wants, &[]);
        handling.told(seen(true, 31));
        assert_eq!(
            (handling.ask(), handling.outcome()),
            (
                &Ask::Nothing,
                Outcome {
                    deferred: vec![],
                    crawl: Crawl::NotDue
                }
            )
        );
    }

    #[test]
    fn an_object_deleted_before_its_crawl_is_acknowledged_when_its_message_comes_back() {
        let returned = |hr: &str| Want {
            receives: 2,
            ..want(&[hr], 1)
        };
        // One whose message is new is not asked for, nor one that is covered.
        let wants = vec![
            returned("05"),
            returned("06"),
            want(&["07"], 1),
            returned("08"),
        ];
        let mut handling = begin(CrawlOn::NewPartition, &wants, &[]);
        handling.told(READY);
        handling.told(Told::Partitions([partition("08")].into()));
        assert_eq!(
            handling.ask(),
            &Ask::Objects(["05", "06"].map(object).into())
        );
        handling.told(Told::Gone([object("05")].into()));
        assert_eq!(
            (handling.ask(), handling.outcome().deferred),
            (&Ask::Start, vec![1, 2]),
            "crawls are due for the others"
        );
        let mut handling = begin(CrawlOn::NewPartition, &wants[..1], &[]);
        [
            READY,
            Told::Partitions([].into()),
            Told::Gone([object("05")].into()),
        ]
        .into_iter()
        .for_each(|told| handling.told(told));
        assert_eq!(
            (handling.ask(), handling.outcome()),
            (
                &Ask::Nothing,
                Outcome {
                    deferred: vec![],
                    crawl: Crawl::NotDue
                }
            )
        );
    }

    #[test]
    fn no_second_crawl_is_started_for_an_object_that_a_crawl_has_passed_over() {
        for (succeeded, wanted) in [(9, Ask::Start), (10, Ask::Start), (11, Ask::Nothing)] {
            let mut handling = begin(CrawlOn::NewPartition, &[want(&["05"], 10)], &[]);
            handling.told(seen(false, succeeded));
            handling.told(Told::Partitions([].into()));
            assert_eq!(
                (handling.ask(), handling.outcome().deferred),
                (&wanted, vec![0]),
                "the last crawl began at {succeeded}"
            );
        }
        let mut handling = begin(
            CrawlOn::NewPartition,
            &[want(&["05"], 10), want(&["06"], 12)],
            &[],
        );
        [seen(false, 11), Told::Partitions([].into())]
            .into_iter()
            .for_each(|told| handling.told(told));
        assert_eq!(
            (handling.ask(), handling.outcome().deferred),
            (&Ask::Start, vec![0, 1]),
            "another object asks for a crawl"
        );
    }
}
