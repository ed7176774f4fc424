//! Many events at once, through the deployed stack.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use fastrand::Rng;
use futures::{StreamExt as _, TryStreamExt as _};
use local::arrivals::{listed, partitions};
use local::{Mail, Ministack, Stack, sample, wait_until};
use system_tests::{Workspace, set_attribute, waiting};
use tokio::time::{Instant, sleep};
use wording::grouped;

/// Objects, and events of them that come twice: 5 percent of all.
const OBJECTS: usize = 9_500;
const REPEATS: usize = 500;
/// Lake partitions, all new at once; a mail lists up to 50 files of each, so that every
/// object is listed by name.
const PARTITIONS: usize = 240;
/// Objects that come one by one before the burst.
const TRICKLE: usize = 60;
const START_CRAWLER: &str = "AWSGlue.StartCrawler";
/// Messages that SQS takes in one call.
const PER_CALL: usize = 10;
/// Calls in flight.
const MAX_CALLS_IN_FLIGHT: usize = 8;
const LOAD_TIMEOUT: Duration = Duration::from_secs(240);
/// Visibility timeouts for the test, in seconds, so that nobody waits 300 s to see
/// deferred messages acknowledged. `notify`'s stays beyond its deadline.
const VISIBILITY: [(&str, &str); 2] = [("CrawlQueueUrl", "15"), ("NotifyQueueUrl", "40")];
/// Delay of both queues, in seconds: longer than the sending takes. ministack's poller
/// and its API change a queue without a lock: a message that is sent while others are
/// being deleted may be lost; so may a deletion, which is a redelivery.
const DELAY: &str = "20";

/// 10,000 object-created events within a minute, shuffled and with repeats, through the
/// deployed stack (G5, G6, G7): at most two calls of StartCrawler, every partition in the
/// catalog, every object in a mail, at most 60 mails and never three within 2 s, and
/// nothing in a dead-letter queue.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_events_within_a_minute() -> Result<()> {
    Workspace::run("load", burst).await
}

async fn burst(work: &Workspace) -> Result<()> {
    let (ministack, proxy) =
        Ministack::start_behind_proxy(&work.tools, &work.processes, &work.folder).await?;
    let stack = work.deploy(ministack, sample::parameters()).await?;
    let queue = |output| stack.deployment.output(output);
    let sqs = aws_sdk_sqs::Client::new(stack.ministack.aws.config());
    for (output, visibility) in VISIBILITY {
        set_attribute(
            &sqs,
            queue(output)?,
            QueueAttributeName::VisibilityTimeout,
            visibility,
        )
        .await?;
    }
    trickle(&stack).await?;
    for (output, _) in VISIBILITY {
        set_attribute(
            &sqs,
            queue(output)?,
            QueueAttributeName::DelaySeconds,
            DELAY,
        )
        .await?;
    }

    let (before, calls_before, crawls_before) = (
        stack.mailbox.mails().len(),
        proxy.calls(START_CRAWLER),
        stack.crawls.crawls(),
    );
    let started = Instant::now();
    let keys = send(&stack, &sqs).await?;
    let sent = started.elapsed();
    println!(
        "     {} events sent in {:.1} s",
        grouped((OBJECTS + REPEATS) as u64),
        sent.as_secs_f64()
    );
    ensure!(
        sent < Duration::from_secs(60),
        "sending took {:.1} s: this is no burst",
        sent.as_secs_f64()
    );
    let mut left = u64::MAX;
    while left > 0 {
        ensure!(
            started.elapsed() < LOAD_TIMEOUT,
            "{left} messages are in the queues after {} s",
            LOAD_TIMEOUT.as_secs()
        );
        sleep(Duration::from_millis(500)).await;
        left = waiting(&sqs, queue("CrawlQueueUrl")?).await?
            + waiting(&sqs, queue("NotifyQueueUrl")?).await?;
    }
    // A mail may still be on its way to the mailbox.
    sleep(Duration::from_secs(2)).await;

    let mails = stack.mailbox.mails().split_off(before);
    let listed = listed(&mails);
    let calls = proxy.calls(START_CRAWLER) - calls_before;
    let repeated: u64 = listed.values().map(|times| times - 1).sum();
    println!(
        "     {} mails, {} objects listed, {repeated} of them again; {calls} calls of \
         StartCrawler, {} crawls; done after {:.1} s",
        mails.len(),
        grouped(listed.len() as u64),
        stack.crawls.crawls() - crawls_before,
        started.elapsed().as_secs_f64()
    );
    let missing = keys.iter().filter(|key| !listed.contains_key(*key)).count();
    ensure!(
        missing == 0 && listed.len() == keys.len(),
        "{missing} objects are in no mail, {} are listed",
        listed.len()
    );
    ensure!(
        repeated <= 2 * REPEATS as u64,
        "{repeated} objects are listed again, {REPEATS} events were repeated"
    );
    ensure!(mails.len() <= 60, "{} mails", mails.len());
    expect_a_mail_a_second(&mails)?;
    ensure!((1..=2).contains(&calls), "{calls} calls of StartCrawler");
    let known = partitions(&stack.ministack.aws, &stack.deployment).await?;
    ensure!(
        known.len() > PARTITIONS,
        "the catalog does not have all partitions"
    );
    for output in ["CrawlDeadLetterQueueUrl", "NotifyDeadLetterQueueUrl"] {
        let dead = waiting(&sqs, queue(output)?).await?;
        ensure!(dead == 0, "{dead} messages in {output}");
    }
    Ok(())
}

/// Objects that come one by one, faster than mails may go out.
async fn trickle(stack: &Stack) -> Result<()> {
    let bucket = stack.deployment.output("LakeBucket")?;
    for n in 0..TRICKLE {
        sample::put(
            &stack.ministack.aws,
            bucket,
            &format!("ticks/dt=2026-10-31/hr=05/{n}.parquet"),
        )
        .await?;
        sleep(Duration::from_millis(150)).await;
    }
    let all_told = async || Ok(listed(&stack.mailbox.mails()).len() == TRICKLE);
    wait_until("a mail of each object", Duration::from_secs(30), all_told).await?;
    let mails = stack.mailbox.mails();
    println!("     {TRICKLE} objects one by one: {} mails", mails.len());
    ensure!(
        mails.len() > 4,
        "only {} mails: this shows no rate",
        mails.len()
    );
    expect_a_mail_a_second(&mails)?;
    // Its crawl ends before the burst begins.
    sleep(Duration::from_secs(6)).await;
    Ok(())
}

/// Two functions publish by turns, each at most every 2 s: of any three mails the last is
/// 2 s behind the first, give or take the clock's tick.
fn expect_a_mail_a_second(mails: &[Mail]) -> Result<()> {
    let mut times: Vec<i64> = mails.iter().map(|mail| mail.published_ms).collect();
    times.sort_unstable();
    let hasty = times.windows(3).find(|three| three[2] - three[0] < 1_950);
    ensure!(hasty.is_none(), "three mails within 2 s: {hasty:?}");
    Ok(())
}

/// Puts one object of each partition, whose events come by themselves, and sends the
/// events of the others, shuffled and with repeats, straight to the queues: ministack
/// takes some 100 objects a second. Returns the URLs of all.
async fn send(stack: &Stack, sqs: &aws_sdk_sqs::Client) -> Result<BTreeSet<String>> {
    let bucket = stack.deployment.output("LakeBucket")?;
    let key = |n: usize| {
        format!(
            "ticks/dt=2026-11-{:02}/hr={:02}/{n:05}.parquet",
            1 + n % PARTITIONS / 24,
            n % 24
        )
    };
    let mut events = Vec::new();
    for n in 0..PARTITIONS {
        let (etag, _) = sample::put(&stack.ministack.aws, bucket, &key(n)).await?;
        events.push(sample::event(bucket, &key(n), &etag, None).to_string());
    }
    events.extend(
        (PARTITIONS..OBJECTS).map(|n| sample::event(bucket, &key(n), "e", None).to_string()),
    );
    let mut rng = Rng::with_seed(5);
    let repeated: Vec<String> = rng.choose_multiple(events.iter().cloned(), REPEATS);
    let mut events = events.split_off(PARTITIONS);
    events.extend(repeated);
    rng.shuffle(&mut events);
    let calls = events
        .chunks(PER_CALL)
        .flat_map(|chunk| ["CrawlQueueUrl", "NotifyQueueUrl"].map(|output| (chunk, output)));
    let sent = futures::stream::iter(calls).map(async |(chunk, output)| {
        let entry = |(place, body): (usize, &String)| {
            SendMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .message_body(body)
                .build()
        };
        let entries = chunk
            .iter()
            .enumerate()
            .map(entry)
            .collect::<Result<Vec<_>, _>>()?;
        let answer = sqs
            .send_message_batch()
            .queue_url(stack.deployment.output(output)?)
            .set_entries(Some(entries))
            .send()
            .await;
        ensure!(
            answer.context("SendMessageBatch")?.failed().is_empty(),
            "SQS has not taken all messages"
        );
        Ok(())
    });
    sent.buffer_unordered(MAX_CALLS_IN_FLIGHT)
        .try_collect::<()>()
        .await?;
    Ok((0..OBJECTS)
        .map(|n| format!("s3://{bucket}/{}", key(n)))
        .collect())
}
