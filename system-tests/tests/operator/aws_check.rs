use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use local::Stack;
use serde_json::json;
use system_tests::Workspace;

use super::user;

/// Steps that the local AWS answers as AWS does, of a stack whose consumer has landed
/// ticks.
const OK: [&str; 16] = [
    "stack-complete",
    "no-ingress",
    "settings-readable",
    "log-retention",
    "objects-land",
    "created-once",
    "rules-enabled",
    "bucket-events",
    "crawl-succeeded",
    "crawl-now",
    "workgroup",
    "queries-run",
    "subscriber-confirmed",
    "dead-letters-empty",
    "queues-encrypted",
    "no-alarm-at-first",
];

/// Steps that fail as the local AWS lacks something (docs/local-stack.md), each with the
/// beginning of its words.
const FAILED: [(&str, &str); 11] = [
    (
        "instances-in-service",
        "ConsumerGroup has 0 of 1, ProducerGroup has 0 of 1; wanted ",
    ),
    ("instances-managed", "the groups have no instances; wanted "),
    ("imds-v2", "the groups have no instances; wanted "),
    (
        "overwrite-refused",
        "a PUT below _probe/ succeeded; wanted ",
    ),
    ("copy-refused", "a copy succeeded; wanted "),
    ("multipart-refused", "a multipart upload succeeded; wanted "),
    ("crawl-log", "no lines in /aws-glue/crawlers"),
    (
        "metrics-arrive",
        "0 of 11 metrics that alarms watch; wanted ",
    ),
    (
        "consumers-report",
        "ticklake_ready of 1 or more in 0 of 15 minutes; wanted ",
    ),
    (
        "alarms-quiet",
        "AllConsumersSilentAlarm is INSUFFICIENT_DATA",
    ),
    ("alarm-publishes", "CrawlFailedAlarm ran no action within"),
];

/// Steps about parts that the local stack does without.
const LEFT_OUT: [&str; 5] = [
    "broker-image",
    "brokers-registered",
    "http-refused",
    "named-queries",
    "operator-confirmed",
];

/// Steps that run with `--write` only.
const WRITING: [&str; 7] = [
    "created-once",
    "overwrite-refused",
    "copy-refused",
    "multipart-refused",
    "crawl-now",
    "queries-run",
    "alarm-publishes",
];

/// Steps and the permission that each lacks without any: a service of each kind of
/// answer.
const PERMISSIONS: [(&str, &str); 10] = [
    ("no-ingress", "ec2:DescribeSecurityGroups"),
    ("settings-readable", "ssm:GetParameter"),
    ("log-retention", "logs:DescribeLogGroups"),
    ("objects-land", "s3:ListBucket"),
    ("bucket-events", "s3:GetBucketNotification"),
    ("crawl-succeeded", "glue:GetCrawler"),
    ("workgroup", "athena:GetWorkGroup"),
    ("subscriber-confirmed", "sns:GetTopicAttributes"),
    ("dead-letters-empty", "sqs:GetQueueAttributes"),
    ("alarms-quiet", "cloudwatch:DescribeAlarms"),
];

/// Outcome and words of each step, by its id, and the last line.
struct Report {
    steps: BTreeMap<String, (String, String)>,
    last: String,
}

/// Runs `cargo xtask aws-check` against a stack whose consumer has landed ticks: with
/// every permission, with hardly any, and with the name of a stack that does not exist.
pub(super) async fn check(stack: &Stack, work: &Workspace) -> Result<()> {
    let own: Vec<(&str, String)> = stack.ministack.aws.environment();
    let run = async |name: &str, arguments: &[&str], environment: &[(&str, String)]| {
        let mut command = work.xtask(&["aws-check"]);
        command.args(arguments).envs(environment.iter().cloned());
        let ended = work.execute(name, &mut command).await;
        ensure!(ended.is_err(), "{name} succeeded, although steps fail here");
        let log = work.log(name);
        std::fs::read_to_string(&log).with_context(|| log.display().to_string())
    };

    let all = run("aws-check-write", &["--stack", "ticklake", "--write"], &own).await?;
    let all = Report::read(&all)?;
    all.expect("ok", &OK)?;
    all.expect("failed", &FAILED.map(|(id, _)| id))?;
    all.expect("left out", &LEFT_OUT)?;
    for (id, words) in FAILED {
        all.expect_words(id, words)?;
    }
    let (ok, failed, left_out) = (OK.len(), FAILED.len(), LEFT_OUT.len());
    let by_hand = all.steps.len() - ok - failed - left_out;
    let wanted = format!("{ok} ok, {failed} failed, {by_hand} to do by hand, {left_out} left out");
    ensure!(
        all.last == wanted,
        "the last line is {:?}, wanted {wanted:?}",
        all.last
    );
    let bucket = stack.deployment.output("LakeBucket")?;
    let probes = json!({"Bucket": bucket, "Prefix": "_probe/"});
    let left = stack
        .ministack
        .aws
        .call("s3", "list_objects_v2", &probes)
        .await?;
    // The consumer's own probes are there, too.
    ensure!(
        !left.to_string().contains("aws-check-"),
        "left behind: {left}"
    );

    let restricted = restricted(stack).await?;
    let refused = run(
        "aws-check-restricted",
        &["--stack", "ticklake"],
        &restricted,
    )
    .await?;
    let refused = Report::read(&refused)?;
    refused.expect("ok", &["stack-complete"])?;
    for (id, permission) in PERMISSIONS {
        let wanted = format!("not allowed: the credentials lack {permission} (");
        refused.expect_words(id, &wanted)?;
    }
    for id in WRITING {
        refused.expect_words(id, "needs --write")?;
    }

    let nowhere = run("aws-check-nowhere", &["--stack", "nowhere"], &own).await?;
    ensure!(
        nowhere.starts_with("error: no stack nowhere in this account and region"),
        "without a stack it said {nowhere}"
    );
    Ok(())
}

impl Report {
    fn read(text: &str) -> Result<Self> {
        let mut steps = BTreeMap::new();
        for line in text.lines() {
            for outcome in ["ok", "failed", "to do by hand", "left out"] {
                let Some((id, words)) = line
                    .strip_prefix(&format!("{outcome} "))
                    .and_then(|rest| rest.trim_start().split_once(' '))
                else {
                    continue;
                };
                let before = steps.insert(
                    id.to_owned(),
                    (outcome.to_owned(), words.trim_start().to_owned()),
                );
                ensure!(before.is_none(), "{id} has two lines:\n{text}");
            }
        }
        let last = text
            .lines()
            .rfind(|line| line.contains(" to do by hand, "))
            .with_context(|| format!("no line counts:\n{text}"))?;
        Ok(Self {
            steps,
            last: last.to_owned(),
        })
    }

    /// Compares the beginning of a step's words.
    fn expect_words(&self, id: &str, wanted: &str) -> Result<()> {
        let (_, got) = self
            .steps
            .get(id)
            .with_context(|| format!("no line of {id}"))?;
        ensure!(
            got.starts_with(wanted),
            "{id} said {got:?}, wanted {wanted:?}"
        );
        Ok(())
    }

    /// Compares the steps of an outcome with those that are wanted.
    fn expect(&self, outcome: &str, wanted: &[&str]) -> Result<()> {
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        let of_outcome = self.steps.iter().filter(|(_, (got, _))| got == outcome);
        let got: Vec<&str> = of_outcome.map(|(id, _)| id.as_str()).collect();
        ensure!(got == wanted, "{outcome}: got {got:?}, wanted {wanted:?}");
        Ok(())
    }
}

/// Returns the environment of a user who may look at stacks, and at nothing else.
async fn restricted(stack: &Stack) -> Result<Vec<(&'static str, String)>> {
    let aws = &stack.ministack.aws;
    let stacks = json!({"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"});
    let policy = json!({"Version": "2012-10-17", "Statement": [stacks]}).to_string();
    let onlooker = user::create(aws, "onlooker").await?;
    let put = json!({"UserName": "onlooker", "PolicyName": "stacks", "PolicyDocument": policy});
    aws.call("iam", "put_user_policy", &put).await?;
    Ok(onlooker.environment())
}
