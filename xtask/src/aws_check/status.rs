use anyhow::Result;

use super::outcome::Outcome;
use super::stack::{Resource, Stack};

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
}
