use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use local::{Repository, statements};
use serde_json::{Value, json};

use super::answer::{items, text};
use super::ask_until::ask_until;
use super::outcome::Outcome;
use super::stack::Stack;

/// How long a query may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// Time between two looks at a query.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Most queries that one call takes.
const BATCH: usize = 50;

/// `workgroup`
pub(super) async fn workgroup(stack: &Stack) -> Result<Outcome> {
    let limit = stack.number("QueryLimitGB")?;
    let asked = json!({"WorkGroup": stack.output("WorkGroupName")?});
    let answer = stack.call("athena", "get_work_group", asked).await?;
    Ok(judge_workgroup(&answer["WorkGroup"], limit))
}

fn judge_workgroup(group: &Value, limit: u64) -> Outcome {
    let (state, configuration) = (text(&group["State"]), &group["Configuration"]);
    // The local AWS writes the number as a string.
    let cutoff = &configuration["BytesScannedCutoffPerQuery"];
    let bytes = cutoff.as_u64().or_else(|| text(cutoff).parse().ok());
    let is_imposed = configuration["EnforceWorkGroupConfiguration"] == true;
    Outcome::of(
        state == "ENABLED" && is_imposed && bytes == Some(limit * 1_000_000_000),
        format!("{state}, settings imposed: {is_imposed}, cutoff {cutoff} bytes"),
        &format!("ENABLED, settings imposed, a cutoff of {limit} GB (QueryLimitGB)"),
    )
}

/// Returns the named queries of the workgroup, by name.
async fn named_queries(stack: &Stack) -> Result<BTreeMap<String, String>> {
    let asked = json!({"WorkGroup": stack.output("WorkGroupName")?});
    let ids = stack
        .account
        .pages("athena", "list_named_queries", asked, "NamedQueryIds")
        .await?;
    let mut named = BTreeMap::new();
    for ids in ids.chunks(BATCH) {
        let asked = json!({"NamedQueryIds": ids});
        let answer = stack.call("athena", "batch_get_named_query", asked).await?;
        named.extend(items(&answer["NamedQueries"]).iter().map(|query| {
            (
                text(&query["Name"]).to_owned(),
                text(&query["QueryString"]).to_owned(),
            )
        }));
    }
    Ok(named)
}

/// `named-queries`
pub(super) async fn named(stack: &Stack) -> Result<Outcome> {
    if stack.parameter("NamedQueries")? == "false" {
        return Ok(Outcome::LeftOut("NamedQueries=false".to_owned()));
    }
    Ok(judge_named(
        &named_queries(stack).await?,
        &statements(&Repository::here())?,
    ))
}

/// Compares the named queries with the files of `sql/`. Others may have queries of their
/// own there.
fn judge_named(named: &BTreeMap<String, String>, files: &BTreeMap<String, String>) -> Outcome {
    let fault = |(file, sql): (&String, &String)| {
        let name = file.trim_end_matches(".sql");
        match named.get(name) {
            None => Some(format!("there is no query {name}")),
            Some(query) => (query.trim() != sql.trim())
                .then(|| format!("the query {name} differs from sql/{file}")),
        }
    };
    Outcome::of_faults(
        &files.iter().filter_map(fault).collect::<Vec<_>>(),
        format!("{} queries", files.len()),
        "the queries of sql/; deploy this state of the repository",
    )
}

/// `queries-run`
pub(super) async fn run(stack: &Stack) -> Result<Outcome> {
    let mut queries = named_queries(stack).await?;
    let count = format!("SELECT count(*) FROM {}", stack.output("TableName")?);
    queries.insert("count".to_owned(), count);
    let mut faults = Vec::new();
    for (name, sql) in &queries {
        faults.extend(query_fault(name, &execute(stack, sql).await?["Status"]));
    }
    let names: Vec<&str> = queries.keys().map(String::as_str).collect();
    Ok(Outcome::of_faults(&faults, names.join(", "), "SUCCEEDED"))
}

/// Runs a query; returns its execution when it has ended, or after [`QUERY_TIMEOUT`].
async fn execute(stack: &Stack, sql: &str) -> Result<Value> {
    let asked = json!({
        "QueryString": sql,
        "WorkGroup": stack.output("WorkGroupName")?,
        "QueryExecutionContext": {"Database": stack.output("DatabaseName")?},
    });
    let started = stack.call("athena", "start_query_execution", asked).await?;
    let id = json!({"QueryExecutionId": started["QueryExecutionId"]});
    let ask = async || {
        let execution = stack.call("athena", "get_query_execution", id.clone());
        Ok(execution.await?["QueryExecution"].take())
    };
    ask_until(QUERY_TIMEOUT, POLL_INTERVAL, ask, |execution: &Value| {
        !["QUEUED", "RUNNING"].contains(&text(&execution["Status"]["State"]))
    })
    .await
}

fn query_fault(name: &str, status: &Value) -> Option<String> {
    let (state, reason) = (text(&status["State"]), text(&status["StateChangeReason"]));
    (state != "SUCCEEDED").then(|| format!("{name} is {state} ({reason})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workgroup_that_imposes_nothing_is_a_fault() {
        let is_ok = |state: &str, imposes: bool, bytes: Value| {
            let configuration = json!({"EnforceWorkGroupConfiguration": imposes,
                "BytesScannedCutoffPerQuery": bytes});
            let group = json!({"State": state, "Configuration": configuration});
            matches!(judge_workgroup(&group, 100), Outcome::Ok(_))
        };
        let limit = json!(100_000_000_000_u64);
        assert!(is_ok("ENABLED", true, limit.clone()));
        assert!(!is_ok("ENABLED", false, limit.clone()));
        assert!(!is_ok("DISABLED", true, limit));
        assert!(!is_ok("ENABLED", true, json!(1_000_000_000)));
        assert!(!is_ok("ENABLED", true, Value::Null));
    }

    #[test]
    fn a_query_of_another_state_of_the_repository_is_named() {
        let queries = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, sql)| ((*name).to_owned(), (*sql).to_owned()));
            pairs.collect()
        };
        let files = queries(&[("a.sql", "SELECT 1\n"), ("b.sql", "SELECT 2\n")]);
        let own = queries(&[
            ("a", "SELECT 1"),
            ("b", "SELECT 2"),
            ("somebody-elses", "SELECT 3"),
        ]);
        assert_eq!(judge_named(&own, &files), Outcome::Ok("2 queries".into()));
        let Outcome::Failed(said) = judge_named(&queries(&[("a", "SELECT 0")]), &files) else {
            panic!("other queries passed")
        };
        let wanted = "the query a differs from sql/a.sql, there is no query b; wanted";
        assert!(said.starts_with(wanted), "{said}");
    }

    #[test]
    fn a_query_that_was_cut_off_or_never_ends_is_a_fault() {
        let fault = |state: &str, reason: &str| {
            query_fault("q", &json!({"State": state, "StateChangeReason": reason}))
        };
        assert_eq!(fault("SUCCEEDED", ""), None);
        let cut = fault("CANCELLED", "Bytes scanned limit was exceeded");
        assert_eq!(
            cut.as_deref(),
            Some("q is CANCELLED (Bytes scanned limit was exceeded)")
        );
        assert!(fault("RUNNING", "").is_some());
    }
}
