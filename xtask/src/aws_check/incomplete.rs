use anyhow::{Result, bail};

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

#[cfg(test)]
mod tests {
    use super::*;

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
