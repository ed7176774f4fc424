use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use jiff::Timestamp;
use local::CallError;
use serde_json::{Value, json};

use super::account::Account;
use super::answer::{items, moment, text};
use super::incomplete::refuse_incomplete;
use super::refusal::explain;

/// A resource of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resource {
    /// Its name in the template.
    pub(super) logical: String,
    /// Its name or id.
    pub(super) physical: String,
    pub(super) kind: String,
    pub(super) status: String,
}

/// A deployed stack. The steps find everything they look at through its outputs and
/// resources.
pub(super) struct Stack {
    pub(super) account: Account,
    /// Its ARN.
    pub(super) id: String,
    pub(super) created: Timestamp,
    name: String,
    pub(super) status: String,
    parameters: BTreeMap<String, String>,
    outputs: BTreeMap<String, String>,
    pub(super) resources: Vec<Resource>,
}

impl Stack {
    /// Looks the stack up.
    ///
    /// # Errors
    /// AWS is not reached, has no such stack, or the stack is not complete; names the
    /// remedy.
    pub(super) async fn describe(account: Account, name: &str) -> Result<Self> {
        let asked = json!({"StackName": name});
        let described = account
            .call("cloudformation", "describe_stacks", asked.clone())
            .await;
        let described = described.map_err(|error| unknown(&error, name))?;
        let stack = &described["Stacks"][0];
        let status = text(&stack["StackStatus"]);
        refuse_incomplete(name, status, text(&stack["StackStatusReason"]))?;
        let summaries = account
            .pages(
                "cloudformation",
                "list_stack_resources",
                asked,
                "StackResourceSummaries",
            )
            .await
            .map_err(|error| anyhow!(explain(&error)))?;
        let pairs = |list: &Value, key: &str, value: &str| {
            let pair = |item: &Value| (text(&item[key]).to_owned(), text(&item[value]).to_owned());
            items(list).iter().map(pair).collect()
        };
        Ok(Self {
            id: text(&stack["StackId"]).to_owned(),
            created: moment(&stack["CreationTime"]).context("the stack has no CreationTime")?,
            name: text(&stack["StackName"]).to_owned(),
            status: status.to_owned(),
            parameters: pairs(&stack["Parameters"], "ParameterKey", "ParameterValue"),
            outputs: pairs(&stack["Outputs"], "OutputKey", "OutputValue"),
            resources: summaries.iter().filter_map(resource).collect(),
            account,
        })
    }

    /// Calls an operation.
    pub(super) async fn call(
        &self,
        service: &str,
        operation: &str,
        parameters: Value,
    ) -> Result<Value, CallError> {
        self.account.call(service, operation, parameters).await
    }

    /// Returns an output of the stack.
    ///
    /// # Errors
    /// The stack has no such output.
    pub(super) fn output(&self, name: &str) -> Result<&str> {
        self.optional_output(name)
            .with_context(|| self.lacks("output", name))
    }

    /// Returns an output that some stacks do not have.
    pub(super) fn optional_output(&self, name: &str) -> Option<&str> {
        self.outputs.get(name).map(String::as_str)
    }

    /// Returns the value of a parameter.
    ///
    /// # Errors
    /// The stack has no such parameter.
    pub(super) fn parameter(&self, name: &str) -> Result<&str> {
        let value = self.parameters.get(name).map(String::as_str);
        value.with_context(|| self.lacks("parameter", name))
    }

    /// Returns a parameter that is a number.
    ///
    /// # Errors
    /// The stack has no such parameter, or it is not a number.
    pub(super) fn number(&self, name: &str) -> Result<u64> {
        let value = self.parameter(name)?;
        value
            .parse()
            .with_context(|| format!("the parameter {name} is {value:?}, which is not a number"))
    }

    /// Returns the name or id of the resource that has a name in the template.
    ///
    /// # Errors
    /// The stack has none.
    pub(super) fn resource(&self, logical: &str) -> Result<&str> {
        let found = self
            .resources
            .iter()
            .find(|resource| resource.logical == logical);
        found
            .map(|found| found.physical.as_str())
            .with_context(|| self.lacks("resource", logical))
    }

    /// Returns the names or ids of the resources of a type.
    pub(super) fn of_type(&self, kind: &str) -> Vec<&str> {
        let of_type = self
            .resources
            .iter()
            .filter(|resource| resource.kind == kind);
        of_type.map(|resource| resource.physical.as_str()).collect()
    }

    /// Returns the name in the template of a resource.
    pub(super) fn logical<'a>(&'a self, physical: &'a str) -> &'a str {
        let found = self
            .resources
            .iter()
            .find(|resource| resource.physical == physical);
        found.map_or(physical, |resource| &resource.logical)
    }

    /// Returns an instruction with the stack's name and outputs in their places.
    pub(super) fn fill_in(&self, text: &str) -> String {
        let text = text.replace("$S", &self.name);
        self.outputs.iter().fold(text, |text, (name, value)| {
            text.replace(&format!("$(out {name})"), value)
        })
    }

    fn lacks(&self, what: &str, name: &str) -> String {
        format!(
            "stack {} has no {what} {name}; deploy this state of the repository, \
             or check out the state that is deployed",
            self.name
        )
    }
}

/// Returns a resource that the stack still has.
fn resource(summary: &Value) -> Option<Resource> {
    let field = |name: &str| text(&summary[name]).to_owned();
    let resource = Resource {
        logical: field("LogicalResourceId"),
        physical: field("PhysicalResourceId"),
        kind: field("ResourceType"),
        status: field("ResourceStatus"),
    };
    let is_gone = ["DELETE_COMPLETE", "DELETE_SKIPPED"].contains(&resource.status.as_str());
    (!is_gone).then_some(resource)
}

fn unknown(error: &CallError, name: &str) -> anyhow::Error {
    if error.code == "ValidationError" && error.message.contains("does not exist") {
        return anyhow!(
            "no stack {name} in this account and region; `aws cloudformation list-stacks` lists \
             the stacks there; choose another region with --region, another account with \
             AWS_PROFILE"
        );
    }
    anyhow!(explain(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_that_an_update_took_out_is_not_the_stacks() {
        let summary = |status: &str| {
            json!({"LogicalResourceId": "InferredCrawler", "PhysicalResourceId": "t-ticks-inferred",
                "ResourceType": "AWS::Glue::Crawler", "ResourceStatus": status})
        };
        let kept = resource(&summary("UPDATE_COMPLETE")).map(|resource| resource.physical);
        assert_eq!(kept.as_deref(), Some("t-ticks-inferred"));
        assert_eq!(resource(&summary("DELETE_COMPLETE")), None);
        assert_eq!(resource(&summary("DELETE_SKIPPED")), None);
    }

    #[test]
    fn a_stack_that_is_missing_is_named_with_the_remedy() {
        let error = |code: &str, message: &str| {
            let error = CallError::new("cloudformation", "describe_stacks", code, message);
            unknown(&error, "t").to_string()
        };
        let missing = error("ValidationError", "Stack with id t does not exist");
        assert!(
            missing.starts_with("no stack t in this account and region; "),
            "{missing}"
        );
        let refused = error("AccessDenied", "no");
        assert!(
            refused.contains("lack cloudformation:DescribeStacks"),
            "{refused}"
        );
    }
}
