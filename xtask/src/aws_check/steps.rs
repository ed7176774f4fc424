use anyhow::Result;
use futures::future::{FutureExt as _, LocalBoxFuture};

use super::outcome::Outcome;
use super::stack::Stack;
use super::{
    alarms, brokers, bucket, crawler, instances, mails, metrics, overwrite, queries, queues, rules,
    set_off, settings, status,
};

/// A step of the checklist that this command runs.
pub(super) struct Step {
    /// Its name in docs/aws-checklist.md.
    pub(super) id: &'static str,
    /// It puts or breaks things: only with `--write`.
    pub(super) writes: bool,
    pub(super) run: for<'a> fn(&'a Stack) -> LocalBoxFuture<'a, Result<Outcome>>,
}

const READS: bool = false;
const WRITES: bool = true;

macro_rules! step {
    ($id:literal, $writes:ident, $run:path) => {
        Step {
            id: $id,
            writes: $writes,
            run: |stack| $run(stack).boxed_local(),
        }
    };
}

/// Every step; the checklist has their order.
pub(super) const STEPS: &[Step] = &[
    step!("stack-complete", READS, status::complete),
    step!("broker-image", READS, brokers::image),
    step!("instances-in-service", READS, instances::in_service),
    step!("instances-managed", READS, instances::managed),
    step!("imds-v2", READS, instances::imds_v2),
    step!("no-ingress", READS, instances::no_ingress),
    step!("brokers-registered", READS, brokers::registered),
    step!("settings-readable", READS, settings::readable),
    step!("log-retention", READS, settings::log_retention),
    step!("objects-land", READS, bucket::objects_land),
    step!("created-once", WRITES, overwrite::created_once),
    step!("overwrite-refused", WRITES, overwrite::refused),
    step!("copy-refused", WRITES, overwrite::copy_refused),
    step!("multipart-refused", WRITES, overwrite::multipart_refused),
    step!("http-refused", READS, bucket::http_refused),
    step!("rules-enabled", READS, rules::enabled),
    step!("bucket-events", READS, rules::bucket_events),
    step!("crawl-succeeded", READS, crawler::succeeded),
    step!("crawl-log", READS, crawler::log),
    step!("crawl-now", WRITES, crawler::crawl_now),
    step!("workgroup", READS, queries::workgroup),
    step!("named-queries", READS, queries::named),
    step!("queries-run", WRITES, queries::run),
    step!("subscriber-confirmed", READS, mails::subscriber_confirmed),
    step!("operator-confirmed", READS, mails::operator_confirmed),
    step!("dead-letters-empty", READS, queues::dead_letters_empty),
    step!("queues-encrypted", READS, queues::encrypted),
    step!("metrics-arrive", READS, metrics::arrive),
    step!("consumers-report", READS, metrics::consumers_report),
    step!("alarms-quiet", READS, alarms::quiet),
    step!("no-alarm-at-first", READS, alarms::none_at_first),
    step!("alarm-publishes", WRITES, set_off::publishes),
];
