//! Nobody overwrites an object: G1 depends on it. These steps remove every object they
//! create. If one is interrupted, the bucket's lifecycle rules take its upload, and its
//! object below `_probe/`; an object below another prefix, which exists only if the
//! policy let it through, has to be removed by hand.

use anyhow::{Result, anyhow};
use jiff::Timestamp;
use local::CallError;
use serde_json::{Value, json};

use super::answer::text;
use super::outcome::Outcome;
use super::refusal::{explain, is_refused};
use super::stack::Stack;

/// The prefixes that the consumers and `curate` write to. `_probe/` comes first: nothing reads its
/// objects, and if the policy lets a PUT through there, no other prefix is tried.
const PREFIXES: [&str; 8] = [
    "_probe/",
    "dead-letter/",
    "_manifests/",
    "_replays/",
    "_retention/",
    "_curated/",
    "curated/",
    "ticks/",
];
/// Part of a refusal by the bucket's policy; a refusal for lack of a permission, or by a
/// policy of the organization, does not have it.
const BY_POLICY: &str = "explicit deny in a resource-based policy";

/// `created-once`
pub(super) async fn created_once(stack: &Stack) -> Result<Outcome> {
    let object = Object::new(stack, "_probe/")?;
    object.create().await?;
    let second = object.create().await;
    object.remove().await?;
    Ok(judge_second(&second))
}

fn judge_second(second: &Result<Value, CallError>) -> Outcome {
    let seen = match second {
        Ok(_) => "a second PUT succeeded".to_owned(),
        Err(error) => format!("{} for the second PUT", error.code),
    };
    let is_right = second
        .as_ref()
        .is_err_and(|error| error.code == "PreconditionFailed");
    Outcome::of(is_right, seen, "PreconditionFailed")
}

/// `overwrite-refused`
pub(super) async fn refused(stack: &Stack) -> Result<Outcome> {
    for prefix in PREFIXES {
        let object = Object::new(stack, prefix)?;
        let answer = object.call("put_object", json!({"Body": "x"})).await;
        let judged = object
            .judge(answer, &format!("a PUT below {prefix}"))
            .await?;
        if !matches!(judged, Outcome::Ok(_)) {
            return Ok(judged);
        }
    }
    Ok(Outcome::Ok(format!(
        "refused below {}",
        PREFIXES.join(", ")
    )))
}

/// `copy-refused`
pub(super) async fn copy_refused(stack: &Stack) -> Result<Outcome> {
    let (source, copy) = (
        Object::new(stack, "_probe/")?,
        Object::new(stack, "_probe/copy-")?,
    );
    source.create().await?;
    let from = format!("{}/{}", source.bucket, source.key);
    let answer = copy.call("copy_object", json!({"CopySource": from})).await;
    let judged = copy.judge(answer, "a copy").await;
    source.remove().await?;
    judged
}

/// `multipart-refused`
pub(super) async fn multipart_refused(stack: &Stack) -> Result<Outcome> {
    let object = Object::new(stack, "_probe/")?;
    let begun = object.call("create_multipart_upload", json!({})).await?;
    let upload = text(&begun["UploadId"]);
    let part = json!({"UploadId": upload, "PartNumber": 1, "Body": "x"});
    let part = object.call("upload_part", part).await?;
    let parts = json!({"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]});
    let whole = json!({"UploadId": upload, "MultipartUpload": parts});
    let answer = object.call("complete_multipart_upload", whole).await;
    if answer.is_err() {
        object
            .call("abort_multipart_upload", json!({"UploadId": upload}))
            .await?;
    }
    object.judge(answer, "a multipart upload").await
}

/// An object that only these steps know.
struct Object<'a> {
    stack: &'a Stack,
    bucket: &'a str,
    key: String,
}

impl<'a> Object<'a> {
    fn new(stack: &'a Stack, prefix: &str) -> Result<Self> {
        let key = format!("{prefix}aws-check-{}", Timestamp::now().as_nanosecond());
        Ok(Self {
            stack,
            bucket: stack.output("LakeBucket")?,
            key,
        })
    }

    async fn call(&self, operation: &str, mut parameters: Value) -> Result<Value, CallError> {
        parameters["Bucket"] = self.bucket.into();
        parameters["Key"] = self.key.as_str().into();
        self.stack.call("s3", operation, parameters).await
    }

    /// Puts the object on the condition that there is none, as the consumers do.
    async fn create(&self) -> Result<Value, CallError> {
        self.call("put_object", json!({"Body": "x", "IfNoneMatch": "*"}))
            .await
    }

    async fn remove(&self) -> Result<()> {
        let removed = self.call("delete_object", json!({})).await;
        removed.map(drop).map_err(|error| {
            let reason = explain(&error);
            anyhow!(
                "cannot remove s3://{}/{}, remove it: {reason}",
                self.bucket,
                self.key
            )
        })
    }

    /// Judges a call that the policy has to refuse; undoes one that the policy let
    /// through.
    async fn judge(&self, answer: Result<Value, CallError>, what: &str) -> Result<Outcome> {
        if answer.is_ok() {
            self.remove().await?;
        }
        Ok(judge_refused(&answer, what))
    }
}

fn judge_refused(answer: &Result<Value, CallError>, what: &str) -> Outcome {
    let seen = match answer {
        Ok(_) => format!("{what} succeeded"),
        Err(error) => format!("{what}: {}: {}", error.code, error.message),
    };
    let is_by_policy =
        |error: &CallError| is_refused(&error.code) && error.message.contains(BY_POLICY);
    Outcome::of(
        answer.as_ref().is_err_and(is_by_policy),
        seen,
        "AccessDenied with an explicit deny, by CreateOnly in the bucket's policy",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, message: &str) -> Result<Value, CallError> {
        Err(CallError::new("s3", "put_object", code, message))
    }

    #[test]
    fn a_second_put_has_to_fail_on_its_condition() {
        let is_ok = |second| matches!(judge_second(&second), Outcome::Ok(_));
        assert!(is_ok(error(
            "PreconditionFailed",
            "At least one of the pre-conditions"
        )));
        assert!(!is_ok(Ok(json!({"ETag": "e"}))));
        assert!(!is_ok(error("SlowDown", "")));
    }

    #[test]
    fn only_a_refusal_by_the_buckets_policy_counts() {
        let refused = |reason: &str| {
            let message = format!(
                "User: arn:aws:iam::111122223333:user/me is not authorized to perform: \
                 s3:PutObject on resource: \"arn:aws:s3:::b/ticks/x\" {reason}"
            );
            matches!(
                judge_refused(&error("AccessDenied", &message), "a PUT"),
                Outcome::Ok(_)
            )
        };
        assert!(refused("with an explicit deny in a resource-based policy"));
        assert!(!refused(
            "with an explicit deny in a service control policy"
        ));
        assert!(!refused(
            "because no identity-based policy allows the s3:PutObject action"
        ));
        let Outcome::Failed(said) = judge_refused(&Ok(json!({})), "a PUT below ticks/") else {
            panic!("a PUT without a condition passed")
        };
        assert!(
            said.starts_with("a PUT below ticks/ succeeded; wanted AccessDenied"),
            "{said}"
        );
    }
}
