use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use fastrand::Rng;
use local::{Ministack, Processes, Repository, Stack, Tools};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wording::grouped;

use super::sample;

/// Objects, and events of them that come twice: 5 percent of all.
const OBJECTS: usize = 9_500;
const REPEATS: usize = 500;
/// Lake partitions, all new at once; a mail lists up to 50 files of each, so that every object is listed by name.
const PARTITIONS: usize = 240;
/// PUTs in flight.
const WRITERS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(240);
/// Visibility timeout of the crawl queue, in seconds, so that nobody waits 300 s to see deferred messages acknowledged.
const VISIBILITY: &str = "15";

/// 10,000 object-created events within a minute, shuffled and with repeats, through the deployed stack (G5, G6, G7): at most two calls of StartCrawler,
/// every partition in the catalog, every object in a mail, at most 60 mails and never two within half a second, and nothing in a dead-letter queue.
pub(crate) async fn check(repository: &Repository, tools: &Tools, processes: &Processes, folder: &Path) -> Result<()> {
    let folder = folder.join("load");
    std::fs::create_dir_all(&folder)?;
    let (ministack, proxy) = Ministack::start_behind_proxy(tools, processes, &folder).await?;
    let stack = sample::deploy(ministack, repository, tools, processes, &folder).await?;
    let queue = |output| stack.deployment.output(output);
    let sqs = aws_sdk_sqs::Client::new(stack.ministack.aws.config());
    let attributes = HashMap::from([(QueueAttributeName::VisibilityTimeout, VISIBILITY.to_owned())]);
    sqs.set_queue_attributes()
        .queue_url(queue("CrawlQueueUrl")?)
        .set_attributes(Some(attributes))
        .send()
        .await
        .context("SetQueueAttributes")?;

    let started = Instant::now();
    let keys = send(&stack, &sqs).await?;
    let sent = started.elapsed();
    println!("     {} events sent in {:.1} s", grouped((OBJECTS + REPEATS) as u64), sent.as_secs_f64());
    let mut left = u64::MAX;
    while left > 0 {
        ensure!(started.elapsed() < PATIENCE, "{left} messages are in the queues after {} s", PATIENCE.as_secs());
        sleep(Duration::from_millis(500)).await;
        left = waiting(&sqs, queue("CrawlQueueUrl")?).await? + waiting(&sqs, queue("NotifyQueueUrl")?).await?;
    }
    // A mail may still be on its way to the mailbox.
    sleep(Duration::from_secs(2)).await;

    let mails = stack.mailbox.mails();
    let listed = crate::demo::listed(&mails);
    let calls = proxy.calls("AWSGlue.StartCrawler");
    let repeated: u64 = listed.values().map(|times| times - 1).sum();
    println!(
        "     {} mails, {} objects listed, {repeated} of them again; {calls} calls of StartCrawler, {} crawls; done after {:.1} s",
        mails.len(),
        grouped(listed.len() as u64),
        stack.crawls.crawls(),
        started.elapsed().as_secs_f64()
    );
    let missing = keys.iter().filter(|key| !listed.contains_key(*key)).count();
    ensure!(missing == 0 && listed.len() == keys.len(), "{missing} objects are in no mail, {} are listed", listed.len());
    ensure!(repeated <= REPEATS as u64, "{repeated} objects are listed again, only {REPEATS} events were repeated");
    ensure!(mails.len() <= 60, "{} mails", mails.len());
    let mut times: Vec<i64> = mails.iter().map(|mail| mail.published_ms).collect();
    times.sort_unstable();
    // Two publish by turns, each at most every 2 s: of any three mails the last is 2 s behind the first, give or take the clock's tick.
    let hasty = times.windows(3).find(|three| three[2] - three[0] < 1_950);
    ensure!(hasty.is_none(), "three mails within 2 s: {hasty:?}");
    ensure!((1..=2).contains(&calls), "{calls} calls of StartCrawler");
    ensure!(partitions(&stack).await? == PARTITIONS, "the catalog does not have all partitions");
    for output in ["CrawlDeadLetterQueueUrl", "NotifyDeadLetterQueueUrl"] {
        let dead = waiting(&sqs, queue(output)?).await?;
        ensure!(dead == 0, "{dead} messages in {output}");
    }
    Ok(())
}

/// Puts the objects, the first of each partition first, the others shuffled, and repeats some of their events; returns their URLs.
async fn send(stack: &Stack, sqs: &aws_sdk_sqs::Client) -> Result<BTreeSet<String>> {
    let bucket = stack.deployment.output("LakeBucket")?;
    let key = |n: usize| format!("ticks/dt=2026-11-{:02}/hr={:02}/{:05}.parquet", 1 + n % PARTITIONS / 24, n % 24, n);
    let mut order: Vec<usize> = (0..OBJECTS).collect();
    let mut rng = Rng::with_seed(5);
    rng.shuffle(&mut order[..PARTITIONS]);
    rng.shuffle(&mut order[PARTITIONS..]);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let keys: Vec<String> = order.iter().skip(writer).step_by(WRITERS).map(|n| key(*n)).collect();
        let (aws, bucket) = (stack.ministack.aws.clone(), bucket.to_owned());
        writers.spawn(async move {
            let mut etags = BTreeMap::new();
            for key in keys {
                let (etag, _) = sample::put(&aws, &bucket, &key).await?;
                etags.insert(key, etag);
            }
            anyhow::Ok(etags)
        });
    }
    let mut etags: BTreeMap<String, String> = BTreeMap::new();
    while let Some(written) = writers.join_next().await {
        etags.append(&mut written??);
    }
    let repeated: Vec<(&String, &String)> = rng.choose_multiple(etags.iter(), REPEATS);
    for output in ["CrawlQueueUrl", "NotifyQueueUrl"] {
        for chunk in repeated.chunks(10) {
            let entry = |(place, (key, etag)): (usize, &(&String, &String))| {
                let body = sample::event(bucket, key, etag, None).to_string();
                SendMessageBatchRequestEntry::builder().id(place.to_string()).message_body(body).build()
            };
            let entries = chunk.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>()?;
            let answer = sqs.send_message_batch().queue_url(stack.deployment.output(output)?).set_entries(Some(entries)).send().await;
            ensure!(answer.context("SendMessageBatch")?.failed().is_empty(), "SQS has not taken all messages");
        }
    }
    Ok(etags.into_keys().map(|key| format!("s3://{bucket}/{key}")).collect())
}

/// Returns how many messages a queue has, in flight or not.
async fn waiting(sqs: &aws_sdk_sqs::Client, url: &str) -> Result<u64> {
    let names = [QueueAttributeName::ApproximateNumberOfMessages, QueueAttributeName::ApproximateNumberOfMessagesNotVisible];
    let answer =
        sqs.get_queue_attributes().queue_url(url).set_attribute_names(Some(names.to_vec())).send().await.context("GetQueueAttributes")?;
    let number =
        |name| answer.attributes().and_then(|attributes| attributes.get(name)?.parse::<u64>().ok()).context("no number of messages");
    names.iter().map(number).sum()
}

async fn partitions(stack: &Stack) -> Result<usize> {
    let glue = aws_sdk_glue::Client::new(stack.ministack.aws.config());
    let get =
        glue.get_partitions().database_name(stack.deployment.output("DatabaseName")?).table_name(stack.deployment.output("TableName")?);
    let mut pages = get.into_paginator().send();
    let mut found = 0;
    while let Some(page) = pages.next().await {
        found += page.context("GetPartitions")?.partitions().len();
    }
    Ok(found)
}
