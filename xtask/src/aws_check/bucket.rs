use anyhow::{Context as _, Result};
use jiff::Timestamp;
use local::CallError;
use serde_json::{Value, json};

use super::answer::{items, moment, text};
use super::outcome::Outcome;
use super::refusal::is_refused;
use super::stack::Stack;

/// `objects-land`
pub(super) async fn objects_land(stack: &Stack) -> Result<Outcome> {
    let limit = stack.number("NoDataSeconds")?;
    let mut prefix = lake::ObjectKey::DATA.to_owned();
    // The newest day, and its newest hour.
    for _ in 0..2 {
        let Some(newest) = newest_folder(&list(stack, &prefix, Some("/")).await?) else {
            break;
        };
        prefix = newest;
    }
    let newest = list(stack, &prefix, None)
        .await?
        .iter()
        .filter_map(newest_object)
        .max();
    Ok(judge_landed(newest, Timestamp::now(), limit))
}

/// Returns the pages of a listing.
async fn list(stack: &Stack, prefix: &str, delimiter: Option<&str>) -> Result<Vec<Value>> {
    let mut asked = json!({"Bucket": stack.output("LakeBucket")?, "Prefix": prefix});
    if let Some(delimiter) = delimiter {
        asked["Delimiter"] = delimiter.into();
    }
    let mut pages = Vec::new();
    loop {
        let mut page = stack.call("s3", "list_objects_v2", asked.clone()).await?;
        let next = page["NextContinuationToken"].take();
        pages.push(page);
        if next.is_null() {
            return Ok(pages);
        }
        asked["ContinuationToken"] = next;
    }
}

/// Returns the last of the folders that are named after a time: `dt=unknown` comes after
/// every day.
fn newest_folder(pages: &[Value]) -> Option<String> {
    let folders = pages.iter().flat_map(|page| items(&page["CommonPrefixes"]));
    let names = folders.map(|folder| text(&folder["Prefix"]));
    names
        .filter(|name| !name.ends_with("=unknown/"))
        .max()
        .map(str::to_owned)
}

fn newest_object(page: &Value) -> Option<Timestamp> {
    items(&page["Contents"])
        .iter()
        .filter_map(|object| moment(&object["LastModified"]))
        .max()
}

fn judge_landed(newest: Option<Timestamp>, now: Timestamp, limit: u64) -> Outcome {
    let age = newest.map(|newest| now.duration_since(newest).as_secs());
    let seen = age.map_or("no object below ticks/".to_owned(), |age| {
        format!("the newest object is {age} s old")
    });
    Outcome::of(
        age.is_some_and(|age| age <= limit as i64),
        seen,
        &format!("at most {limit} s (NoDataSeconds); does anybody produce ticks?"),
    )
}

/// `http-refused`
pub(super) async fn http_refused(stack: &Stack) -> Result<Outcome> {
    if stack.parameter("RequireTls")? == "false" {
        return Ok(Outcome::LeftOut("RequireTls=false".to_owned()));
    }
    let asked = json!({"Bucket": stack.output("LakeBucket")?});
    // Credentials that lack the permission are refused over HTTP and TLS alike: only a
    // call that succeeds over TLS shows that the bucket refuses HTTP.
    stack
        .call("s3", "get_bucket_location", asked.clone())
        .await?;
    let endpoint = http_endpoint(&stack.id)
        .with_context(|| format!("the stack's id is {}, which is not an ARN", stack.id))?;
    Ok(judge_http(
        &stack
            .account
            .s3_at(endpoint, "get_bucket_location", asked)
            .await,
    ))
}

/// Returns S3's endpoint without TLS in the region of an ARN.
fn http_endpoint(arn: &str) -> Option<String> {
    let mut parts = arn.split(':').skip(1);
    let (partition, region) = (parts.next()?, parts.nth(1)?);
    let domain = if partition == "aws-cn" {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    Some(format!("http://s3.{region}.{domain}"))
}

fn judge_http(answer: &Result<Value, CallError>) -> Outcome {
    let seen = match answer {
        Ok(_) => "an answer over HTTP".to_owned(),
        Err(error) => format!("{}: {}", error.code, error.message),
    };
    Outcome::of(
        answer.as_ref().is_err_and(|error| is_refused(&error.code)),
        seen,
        "AccessDenied, by TlsOnly in the bucket's policy",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_folder_is_the_last_one_with_a_time() {
        let page = |names: &[&str]| {
            let prefixes = names.iter().map(|name| json!({"Prefix": name}));
            json!({"CommonPrefixes": prefixes.collect::<Vec<_>>()})
        };
        let pages = [
            page(&["ticks/dt=2026-11-23/", "ticks/dt=2026-11-24/"]),
            page(&["ticks/dt=unknown/"]),
        ];
        assert_eq!(
            newest_folder(&pages).as_deref(),
            Some("ticks/dt=2026-11-24/")
        );
        assert_eq!(newest_folder(&[json!({})]), None);
    }

    #[test]
    fn an_old_object_and_an_empty_lake_are_faults() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let page = json!({"Contents": [
            {"Key": "a", "LastModified": "2026-11-24 11:59:00+00:00"},
            {"Key": "b", "LastModified": "2026-11-24 11:00:00+00:00"},
        ]});
        assert_eq!(
            judge_landed(newest_object(&page), now, 60),
            Outcome::Ok("the newest object is 60 s old".into())
        );
        let late = judge_landed(newest_object(&page), now, 59);
        assert!(matches!(late, Outcome::Failed(_)), "{late:?}");
        assert!(matches!(judge_landed(None, now, 600), Outcome::Failed(_)));
    }

    #[test]
    fn only_a_refusal_shows_that_http_is_refused() {
        let error = |code: &str| Err(CallError::new("s3", "get_bucket_location", code, "m"));
        let answered = Ok(json!({"LocationConstraint": "eu-central-1"}));
        assert!(matches!(judge_http(&error("AccessDenied")), Outcome::Ok(_)));
        assert!(matches!(judge_http(&answered), Outcome::Failed(_)));
        assert!(matches!(
            judge_http(&error("EndpointConnectionError")),
            Outcome::Failed(_)
        ));
    }

    #[test]
    fn the_endpoint_is_that_of_the_stacks_region() {
        let endpoint = |partition: &str| {
            http_endpoint(&format!(
                "arn:{partition}:cloudformation:eu-central-1:1:stack/t/x"
            ))
        };
        let wanted = "http://s3.eu-central-1.amazonaws.com";
        assert_eq!(endpoint("aws").as_deref(), Some(wanted));
        assert_eq!(endpoint("aws-cn"), Some(format!("{wanted}.cn")));
        assert_eq!(http_endpoint("x"), None);
    }
}
