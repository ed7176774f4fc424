//! Decides about a batch, as a state machine without I/O. It asks questions about Glue
//! and S3, takes the answers, and ends with an [`Outcome`].
//!
//! The order of the questions keeps G6. It asks for the crawler's state *before* the
//! catalog. A crawl that had ended by then has added its partitions, so it did not cover
//! the partitions that the catalog still does not have. While a crawl is running, no
//! other is started. If it asked for the catalog first, a crawl could end in between, and
//! the next crawl would be for partitions that are already covered. If two functions both
//! find the crawler ready, both call StartCrawler; Glue starts one crawl and answers the
//! other call with CrawlerRunningException.
//!
//! No crawl ever covers some objects. One kind was deleted before its crawl. If the
//! message comes a second time, S3 is asked whether the object is present; if it is gone,
//! the message is acknowledged. The other kind gets no partition from the crawler, such
//! as a foreign file. If a crawl began after the message and succeeded, it has passed the
//! object over, and no other is started for it. The message still waits: for a crawl that
//! somebody starts by hand or that is due for other objects, or for the dead-letter
//! queue.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use lake_layout::LakePartition;
use object_event::ObjectVersion;

use crate::want::{Want, Wanted};

/// The objects for which a crawl is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrawlOn {
    /// Objects in a partition that the catalog does not have. For the typed table, whose
    /// columns never change.
    NewPartition,
    /// Objects that came after the start of the last successful crawl. For an inferred
    /// table, whose files may bring new columns.
    EveryFile,
}

/// The crawler's state, as Glue reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CrawlerSeen {
    /// Whether it is running or stopping, so that Glue would refuse StartCrawler.
    pub(crate) is_running: bool,
    /// The start of its last crawl, if that crawl succeeded.
    pub(crate) succeeded: Option<SystemTime>,
}

/// The next question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The crawler's state.
    Crawler,
    /// Which of these partitions does the catalog have?
    Partitions(BTreeSet<LakePartition>),
    /// Which of these objects are gone?
    Objects(BTreeSet<ObjectVersion>),
    /// Start the crawler.
    Start,
    /// Nothing more.
    Nothing,
}

/// The answer to an [`Ask`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The crawler's state.
    Crawler(CrawlerSeen),
    /// The partitions that the catalog has.
    Partitions(BTreeSet<LakePartition>),
    /// The objects that are gone.
    Gone(BTreeSet<ObjectVersion>),
    /// A crawl has started.
    Started,
    /// A crawl was already running; it may have listed the bucket before the object came.
    AlreadyRunning,
    /// No answer, or an error.
    Failed,
}

/// The decision about a crawl.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crawl {
    /// None was due.
    NotDue,
    /// None was due: a crawl began after the messages that wait, succeeded, and did not
    /// cover their objects.
    PassedOver,
    /// One was due, but one is running.
    Running,
    /// One has started.
    Started,
    /// Glue did not answer, or answered with an error.
    Failed,
}

/// The decision about the messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The messages that wait, by their place in the batch.
    pub(crate) deferred: Vec<usize>,
    /// The decision about a crawl.
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
    /// Begins to handle messages, by their place in the batch. `known` are the partitions
    /// that are known to be in the catalog.
    pub(crate) fn new(
        crawl_on: CrawlOn,
        wants: BTreeMap<usize, Want>,
        known: BTreeSet<LakePartition>,
    ) -> Self {
        let mut handling = Self {
            crawl_on,
            wants,
            known,
            gone: BTreeSet::new(),
            succeeded: None,
            is_running: false,
            ask: Ask::Nothing,
            crawl: Crawl::NotDue,
        };
        if handling.waiting().next().is_some() {
            handling.ask = Ask::Crawler;
        }
        handling
    }

    /// Returns the next question.
    pub(crate) fn ask(&self) -> &Ask {
        &self.ask
    }

    /// Takes the answer to the last question.
    pub(crate) fn answered(&mut self, answer: Answer) {
        self.ask = match (std::mem::replace(&mut self.ask, Ask::Nothing), answer) {
            (Ask::Crawler, Answer::Crawler(seen)) => {
                self.is_running = seen.is_running;
                self.succeeded = seen.succeeded;
                match self.crawl_on {
                    CrawlOn::NewPartition => Ask::Partitions(self.unknown()),
                    CrawlOn::EveryFile => self.ask_for_returned_objects(),
                }
            }
            (Ask::Partitions(_), Answer::Partitions(found)) => {
                self.known.extend(found);
                self.ask_for_returned_objects()
            }
            (Ask::Objects(_), Answer::Gone(gone)) => {
                self.gone = gone;
                self.start()
            }
            (Ask::Start, Answer::Started) => self.end(Crawl::Started),
            (Ask::Start, Answer::AlreadyRunning) => self.end(Crawl::Running),
            // Objects wait unless they are known to be covered. No crawl starts blindly.
            _ => self.end(Crawl::Failed),
        };
    }

    /// Returns the decision about the messages. A message with an object that is neither
    /// covered nor gone still waits (G5).
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

    /// Returns the wants of the messages, by their place in the batch.
    pub(crate) fn wants(&self) -> &BTreeMap<usize, Want> {
        &self.wants
    }

    /// Asks for the objects whose message has come back, unless a running crawl prevents
    /// another one anyway.
    fn ask_for_returned_objects(&mut self) -> Ask {
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
            // No partition of the table could ever cover an object outside the lake's
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

    /// Compares the time of the message, not of the object: a message that is sent again
    /// asks for a crawl again.
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

    fn seen(is_running: bool, succeeded: u64) -> Answer {
        Answer::Crawler(CrawlerSeen {
            is_running,
            succeeded: at(succeeded),
        })
    }

    const READY: Answer = Answer::Crawler(CrawlerSeen {
        is_running: false,
        succeeded: None,
    });

    /// Expects no further question, and this outcome.
    #[track_caller]
    fn expect_end(handling: &Handling, deferred: &[usize], crawl: Crawl) {
        let deferred = deferred.to_vec();
        assert_eq!(
            (handling.ask(), handling.outcome()),
            (&Ask::Nothing, Outcome { deferred, crawl })
        );
    }

    #[test]
    fn known_partitions_ask_nothing() {
        let handling = begin(
            CrawlOn::NewPartition,
            &[want(&["05"], 1), want(&[], 1)],
            &["05"],
        );
        expect_end(&handling, &[], Crawl::NotDue);
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
        handling.answered(READY);
        assert_eq!(
            handling.ask(),
            &Ask::Partitions(["06", "07", "08"].map(partition).into())
        );
        handling.answered(Answer::Partitions([partition("07")].into()));
        assert_eq!(handling.ask(), &Ask::Start);
        handling.answered(Answer::Started);
        expect_end(&handling, &[1, 3], Crawl::Started);
    }

    #[test]
    fn a_running_crawl_starts_no_other_and_acknowledges_nothing() {
        for answers in [
            vec![
                Answer::Crawler(CrawlerSeen {
                    is_running: true,
                    succeeded: None,
                }),
                Answer::Partitions([].into()),
            ],
            vec![READY, Answer::Partitions([].into()), Answer::AlreadyRunning],
        ] {
            let mut handling = begin(CrawlOn::NewPartition, &[want(&["05"], 1)], &[]);
            answers
                .into_iter()
                .for_each(|answer| handling.answered(answer));
            expect_end(&handling, &[0], Crawl::Running);
        }
    }

    #[test]
    fn an_object_is_not_covered_if_glue_does_not_answer() {
        for answers in [
            vec![Answer::Failed],
            vec![READY, Answer::Failed],
            vec![READY, Answer::Partitions([].into()), Answer::Failed],
        ] {
            let mut handling = begin(
                CrawlOn::NewPartition,
                &[want(&["05"], 1), want(&["06"], 1)],
                &["06"],
            );
            answers
                .into_iter()
                .for_each(|answer| handling.answered(answer));
            expect_end(&handling, &[0], Crawl::Failed);
        }
    }

    #[test]
    fn every_file_is_covered_by_a_successful_crawl_that_began_after_it() {
        let wants = vec![want(&["05"], 10), want(&["05"], 20), want(&["05"], 30)];
        let mut handling = begin(CrawlOn::EveryFile, &wants, &["05"]);
        handling.answered(seen(false, 20));
        assert_eq!(
            (handling.ask(), handling.outcome().deferred),
            (&Ask::Start, vec![1, 2])
        );
        let mut handling = begin(CrawlOn::EveryFile, &wants, &[]);
        handling.answered(seen(true, 31));
        expect_end(&handling, &[], Crawl::NotDue);
    }

    #[test]
    fn an_object_deleted_before_its_crawl_is_acknowledged_when_its_message_comes_back() {
        let returned = |hr: &str| Want {
            receives: 2,
            ..want(&[hr], 1)
        };
        // No question for an object with a new message, nor for a covered one.
        let wants = vec![
            returned("05"),
            returned("06"),
            want(&["07"], 1),
            returned("08"),
        ];
        let mut handling = begin(CrawlOn::NewPartition, &wants, &[]);
        handling.answered(READY);
        handling.answered(Answer::Partitions([partition("08")].into()));
        assert_eq!(
            handling.ask(),
            &Ask::Objects(["05", "06"].map(object).into())
        );
        handling.answered(Answer::Gone([object("05")].into()));
        assert_eq!(
            (handling.ask(), handling.outcome().deferred),
            (&Ask::Start, vec![1, 2]),
            "crawls are due for the others"
        );
        let mut handling = begin(CrawlOn::NewPartition, &wants[..1], &[]);
        [
            READY,
            Answer::Partitions([].into()),
            Answer::Gone([object("05")].into()),
        ]
        .into_iter()
        .for_each(|answer| handling.answered(answer));
        expect_end(&handling, &[], Crawl::NotDue);
    }

    #[test]
    fn no_second_crawl_is_started_for_an_object_that_a_crawl_has_passed_over() {
        for (succeeded, wanted) in [(9, Ask::Start), (10, Ask::Start), (11, Ask::Nothing)] {
            let mut handling = begin(CrawlOn::NewPartition, &[want(&["05"], 10)], &[]);
            handling.answered(seen(false, succeeded));
            handling.answered(Answer::Partitions([].into()));
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
        [seen(false, 11), Answer::Partitions([].into())]
            .into_iter()
            .for_each(|answer| handling.answered(answer));
        assert_eq!(
            (handling.ask(), handling.outcome().deferred),
            (&Ask::Start, vec![0, 1]),
            "another object asks for a crawl"
        );
    }
}
