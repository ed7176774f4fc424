use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::answer::{items, text};
use super::ask_until::ask_until;
use super::outcome::Outcome;
use super::stack::Stack;

/// How long a crawl may take.
const CRAWL_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// Time between two looks at a crawl.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

async fn crawler(stack: &Stack) -> Result<Value> {
    let name = json!({"Name": stack.output("CrawlerName")?});
    Ok(stack.call("glue", "get_crawler", name).await?["Crawler"].take())
}

/// `crawl-succeeded`
pub(super) async fn succeeded(stack: &Stack) -> Result<Outcome> {
    Ok(judge_crawl(&crawler(stack).await?["LastCrawl"]))
}

fn judge_crawl(crawl: &Value) -> Outcome {
    let status = text(&crawl["Status"]);
    let seen = match (status, text(&crawl["ErrorMessage"])) {
        ("", _) => "no crawl has ended yet".to_owned(),
        (status, "") => format!("{status}, began {}", text(&crawl["StartTime"])),
        (status, message) => format!("{status}: {message}"),
    };
    Outcome::of(
        status == "SUCCEEDED",
        seen,
        "SUCCEEDED; see docs/runbook.md#a-crawl-failed",
    )
}

/// `crawl-log`
pub(super) async fn log(stack: &Stack) -> Result<Outcome> {
    let crawl = crawler(stack).await?["LastCrawl"].take();
    let (group, stream) = (text(&crawl["LogGroup"]), text(&crawl["LogStream"]));
    if group.is_empty() || stream.is_empty() {
        let seen = "the last crawl names no log stream";
        return Ok(Outcome::of(false, seen, "a stream in /aws-glue/crawlers"));
    }
    let asked = json!({"logGroupName": group, "logStreamName": stream, "limit": 10});
    let answer = match stack.call("logs", "get_log_events", asked).await {
        Err(error) if error.code == "ResourceNotFoundException" => Value::Null,
        answer => answer?,
    };
    Ok(judge_log(items(&answer["events"]), group, stream))
}

fn judge_log(events: &[Value], group: &str, stream: &str) -> Outcome {
    let lines = if events.is_empty() {
        "no lines"
    } else {
        "lines"
    };
    Outcome::of(
        !events.is_empty(),
        format!("{lines} in {group}, stream {stream}"),
        "lines; does the crawler's role have logs:CreateLogGroup and logs:PutLogEvents?",
    )
}

/// `crawl-now`
pub(super) async fn crawl_now(stack: &Stack) -> Result<Outcome> {
    let before = crawler(stack).await?["LastCrawl"]["StartTime"].take();
    let name = json!({"Name": stack.output("CrawlerName")?});
    match stack.call("glue", "start_crawler", name).await {
        // A crawl that is running serves as well.
        Err(error) if error.code != "CrawlerRunningException" => bail!(error),
        _ => {}
    }
    let is_last = |crawler: &Value| has_ended(crawler, &before);
    let crawler = ask_until(
        CRAWL_TIMEOUT,
        POLL_INTERVAL,
        async || crawler(stack).await,
        is_last,
    )
    .await?;
    if is_last(&crawler) {
        return Ok(judge_crawl(&crawler["LastCrawl"]));
    }
    let (state, minutes) = (text(&crawler["State"]), CRAWL_TIMEOUT.as_secs() / 60);
    let seen = format!("the crawler is {state} after {minutes} minutes");
    Ok(Outcome::of(false, seen, "a crawl that has ended"))
}

/// Returns true if a crawl has ended that is not the one before.
fn has_ended(crawler: &Value, before: &Value) -> bool {
    let start = &crawler["LastCrawl"]["StartTime"];
    crawler["State"] == "READY" && !start.is_null() && start != before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crawl_that_failed_says_why() {
        let succeeded = json!({"Status": "SUCCEEDED", "StartTime": "2026-11-24 11:00:00+00:00"});
        assert!(matches!(judge_crawl(&succeeded), Outcome::Ok(_)));
        let failed = json!({"Status": "FAILED", "ErrorMessage": "no glue:UpdateTable"});
        let Outcome::Failed(said) = judge_crawl(&failed) else {
            panic!("a failed crawl passed")
        };
        assert!(
            said.starts_with("FAILED: no glue:UpdateTable; wanted SUCCEEDED"),
            "{said}"
        );
        assert!(
            matches!(judge_crawl(&Value::Null), Outcome::Failed(_)),
            "no crawl"
        );
    }

    #[test]
    fn the_crawl_before_is_not_the_one_that_was_started() {
        let (earlier, later) = ("2026-11-24 11:00:00+00:00", "2026-11-24 12:00:00+00:00");
        let has_ended = |state: &str, start: &str, before: &Value| {
            let last = json!({"StartTime": start, "Status": "SUCCEEDED"});
            has_ended(&json!({"State": state, "LastCrawl": last}), before)
        };
        assert!(has_ended("READY", later, &json!(earlier)));
        assert!(has_ended("READY", later, &Value::Null));
        assert!(!has_ended("READY", earlier, &json!(earlier)));
        assert!(!has_ended("STOPPING", later, &json!(earlier)));
        assert!(!super::has_ended(&json!({"State": "READY"}), &Value::Null));
    }

    #[test]
    fn a_log_stream_without_lines_is_a_fault() {
        let lines = judge_log(&[json!({"message": "BENCHMARK"})], "g", "s");
        assert!(matches!(lines, Outcome::Ok(_)), "{lines:?}");
        assert!(matches!(judge_log(&[], "g", "s"), Outcome::Failed(_)));
    }
}
