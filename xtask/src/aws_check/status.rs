use anyhow::{Result, bail};

use super::outcome::Outcome;
use super::stack::{Resource, Stack};

/// Refuses a stack that has nothing to look at.
pub(super) fn refuse_incomplete(name: &str, status: &str, reason: &str) -> Result<()> {
    let reason = if reason.is_empty() {
        String::new()
    } else {
        format!(" ({reason})")
    };
    let seen = format!("stack {name} is {status}{reason}");
    match status {
        "CREATE_FAILED" | "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "ROLLBACK_IN_PROGRESS" => {
            bail!(
                "{seen}: its first deployment failed, and left nothing to check; see the log group \
             /{name}/failed-boots and docs/runbook.md#a-deployment-fails"
            )
        }
        _ if status.starts_with("DELETE_") || status == "REVIEW_IN_PROGRESS" => {
            bail!("{seen}, and has nothing to check; deploy it first")
        }
        _ if status.ends_with("_IN_PROGRESS") => bail!(
            "{seen}; try again when the deployment has ended: \
             aws cloudformation describe-stacks --stack-name {name}"
        ),
        _ => Ok(()),
    }
}

/// `stack-complete`
pub(super) async fn complete(stack: &Stack) -> Result<Outcome> {
    Ok(judge_complete(&stack.status, &stack.resources))
}

fn judge_complete(status: &str, resources: &[Resource]) -> Outcome {
    let mut faults = Vec::new();
    if !["CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"].contains(&status) {
        faults.push(format!("the stack is {status}"));
    }
    let incomplete = resources
        .iter()
        .filter(|resource| !resource.status.ends_with("_COMPLETE"));
    faults
        .extend(incomplete.map(|resource| format!("{} is {}", resource.logical, resource.status)));
    Outcome::of_faults(
        &faults,
        format!("{status}, {} resources", resources.len()),
        "CREATE_COMPLETE or UPDATE_COMPLETE",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(status: &str) -> Resource {
        let [logical, physical, kind, status] = [
            "ConsumerGroup",
            "t-ConsumerGroup-1X",
            "AWS::AutoScaling::AutoScalingGroup",
            status,
        ]
        .map(str::to_owned);
        Resource {
            logical,
            physical,
            kind,
            status,
        }
    }

    #[test]
    fn a_stack_whose_update_was_rolled_back_is_not_complete() {
        assert_eq!(
            judge_complete("UPDATE_COMPLETE", &[resource("CREATE_COMPLETE")]),
            Outcome::Ok("UPDATE_COMPLETE, 1 resources".into())
        );
        assert_eq!(
            judge_complete("UPDATE_ROLLBACK_COMPLETE", &[resource("UPDATE_FAILED")]),
            Outcome::Failed(
                "the stack is UPDATE_ROLLBACK_COMPLETE, ConsumerGroup is UPDATE_FAILED; \
                 wanted CREATE_COMPLETE or UPDATE_COMPLETE"
                    .into()
            )
        );
    }

    #[test]
    fn a_stack_without_resources_is_refused_with_the_remedy() {
        for (status, wanted) in [
            ("ROLLBACK_COMPLETE", "docs/runbook.md#a-deployment-fails"),
            ("DELETE_FAILED", "deploy it first"),
            (
                "UPDATE_IN_PROGRESS",
                "try again when the deployment has ended",
            ),
        ] {
            let error = refuse_incomplete("t", status, "why")
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with(&format!("stack t is {status} (why)")),
                "{error}"
            );
            assert!(error.contains(wanted), "{error}");
        }
        for status in [
            "CREATE_COMPLETE",
            "UPDATE_ROLLBACK_COMPLETE",
            "UPDATE_ROLLBACK_FAILED",
        ] {
            assert!(refuse_incomplete("t", status, "").is_ok(), "{status}");
        }
    }
}
