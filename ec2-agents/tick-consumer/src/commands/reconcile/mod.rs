//! Sends events of objects once more, as EventBridge would: it takes minutes to begin on
//! a new bucket, and rules can break. The functions cope with repetition, so sending one
//! too many is safe.

mod curated;

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use clap::Args;
use curation::{Register, RegisterKey};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use lake::ObjectKey;
use serde_json::json;

use crate::config::Config;
use crate::lake_bucket::{LakeBucket, Listed};

/// One attempt of one SQS call.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Most messages that SQS takes at once; ten of these events are far below its 256 KiB.
const MAX_MESSAGES_PER_CALL: usize = 10;

/// The prefixes of all objects that a function hears of.
const PREFIXES: [&str; 3] = [ObjectKey::DATA, ObjectKey::DEAD_LETTERS, RegisterKey::ROOT];

/// Which events to send.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Reconcile {
    /// Objects that came since then: a time such as 2026-11-21T05:00:00Z, or how long
    /// ago, such as 2h
    #[arg(long, value_name = "TIME|AGE")]
    since: Since,
    /// To the crawler's queue only
    #[arg(long, conflicts_with = "only_notify")]
    only_crawl: bool,
    /// To the mails' queue only
    #[arg(long)]
    only_notify: bool,
    /// Print the number of events, and send nothing
    #[arg(long)]
    dry_run: bool,
}

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Since(SystemTime);

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = humantime::parse_rfc3339_weak(text) {
            return Ok(Self(time));
        }
        let age = humantime::parse_duration(text)
            .ok()
            .and_then(|age| SystemTime::now().checked_sub(age));
        age.map(Self).ok_or_else(|| {
            format!(
                "got {text:?}, wanted a time such as 2026-11-21T05:00:00Z, or an age such as 2h"
            )
        })
    }
}

/// A queue, and its objects.
struct Target<'a> {
    name: &'static str,
    url: &'a str,
    prefixes: &'static [&'static str],
    /// Events so far, sent or waiting.
    events: u64,
    waiting: Vec<SendMessageBatchRequestEntry>,
}

/// Lists the lake and sends the events, then looks at the objects of curated hours.
///
/// # Errors
/// S3 or SQS does not answer, or refuses. Events that were sent stay sent; another run
/// sends them once more.
pub(crate) async fn reconcile(config: &Config, wanted: &Reconcile) -> Result<()> {
    let events = &config.events;
    let bucket = &LakeBucket::connect(&config.lake).await?;
    let mut targets = Vec::new();
    if !wanted.only_notify {
        targets.push(Target::new(
            "start-crawler",
            "events.crawl_queue",
            &events.crawl_queue,
            &[ObjectKey::DATA],
        )?);
    }
    if !wanted.only_crawl {
        targets.push(Target::new(
            "notify",
            "events.notify_queue",
            &events.notify_queue,
            &PREFIXES,
        )?);
    }
    let sqs = Client::new(&aws_connect::load(CALL_TIMEOUT).await);
    let mut found = 0_u64;
    for prefix in PREFIXES {
        let mut listed = bucket.listed(prefix);
        while let Some(object) = listed.try_next().await? {
            let came = object
                .last_modified()
                .and_then(|time| SystemTime::try_from(*time).ok());
            let is_older = came.is_none_or(|came| came < wanted.since.0);
            if is_older || (prefix == RegisterKey::ROOT && !is_outcome(&object)) {
                continue;
            }
            found += 1;
            for target in targets
                .iter_mut()
                .filter(|target| target.prefixes.contains(&prefix))
            {
                target.events += 1;
                if !wanted.dry_run {
                    target.add(bucket.name(), &object)?;
                }
                if target.waiting.len() == MAX_MESSAGES_PER_CALL {
                    target.send(&sqs).await?;
                }
            }
        }
    }
    println!(
        "{} objects and outcomes of hours came into s3://{} since {}",
        wording::grouped(found),
        bucket.name(),
        humantime::format_rfc3339_seconds(wanted.since.0)
    );
    for target in &mut targets {
        target.send(&sqs).await?;
        let what = if wanted.dry_run {
            "events would go to"
        } else {
            "events sent to"
        };
        println!(
            "{} {what} {} ({})",
            wording::grouped(target.events),
            target.name,
            target.url
        );
    }
    if !wanted.only_crawl && !wanted.only_notify {
        let since = Timestamp::try_from(wanted.since.0)?;
        print!("{}", curated::report(&config.lake, since).await?);
    }
    Ok(())
}

impl<'a> Target<'a> {
    fn new(
        name: &'static str,
        setting: &str,
        url: &'a Option<String>,
        prefixes: &'static [&'static str],
    ) -> Result<Self> {
        let url = url.as_deref();
        let url = url.with_context(|| {
            format!(
                "{setting}: missing, wanted the URL of the queue; --config ssm:<name> of the \
                     stack has it"
            )
        })?;
        Ok(Self {
            name,
            url,
            prefixes,
            events: 0,
            waiting: Vec::new(),
        })
    }

    fn add(&mut self, bucket: &str, object: &Listed) -> Result<()> {
        let body = event(bucket, object)?;
        let entry = SendMessageBatchRequestEntry::builder()
            .id(self.waiting.len().to_string())
            .message_body(body)
            .build()?;
        self.waiting.push(entry);
        Ok(())
    }

    async fn send(&mut self, sqs: &Client) -> Result<()> {
        let entries = std::mem::take(&mut self.waiting);
        if entries.is_empty() {
            return Ok(());
        }
        let count = entries.len();
        let answer = sqs
            .send_message_batch()
            .queue_url(self.url)
            .set_entries(Some(entries))
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => bail!(
                "cannot send to {} of {}: {}",
                self.url,
                self.name,
                aws_connect::brief(&error)
            ),
        };
        ensure!(
            answer.successful().len() == count,
            "{} of {} takes {} of {count} messages: {:?}",
            self.url,
            self.name,
            answer.successful().len(),
            answer.failed().first().and_then(|failed| failed.message())
        );
        Ok(())
    }
}

/// Returns whether a register is an outcome; the rule lets no other one through.
fn is_outcome(object: &Listed) -> bool {
    let key = object.key().and_then(RegisterKey::parse);
    key.is_some_and(|key| key.register == Register::Outcome)
}

/// Returns the event as EventBridge has it (Amazon S3 User Guide, "EventBridge event
/// message structure").
fn event(bucket: &str, object: &Listed) -> Result<String> {
    let time = object
        .last_modified()
        .context("a listed object has no Last-Modified")?;
    let time = SystemTime::try_from(*time)?;
    let event = json!({
        "version": "0",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "time": humantime::format_rfc3339_seconds(time).to_string(),
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {
                "key": object.key(),
                "size": object.size(),
                "etag": object.e_tag().map(|tag| tag.trim_matches('"')),
            },
            "reason": "tick-consumer reconcile",
        },
    });
    Ok(event.to_string())
}
