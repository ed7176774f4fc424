//! A deployment under a customer's conditions: a key of their own, a permissions
//! boundary, a tag for costs. The local AWS shows some of their effects;
//! `local/test_controls.py` checks all of them in the template.

use anyhow::{Context as _, Result, ensure};
use local::{Aws, Stack};
use serde_json::{Value, json};
use system_tests::launch_template_data;

/// The stack's log groups at least: of the functions, the consumer and the producer.
const LOG_GROUPS: usize = 4;

/// The resources from before the deployment.
pub(super) struct Controls {
    key: String,
    boundary: String,
}

impl Controls {
    pub(super) async fn create(aws: &Aws) -> Result<Self> {
        let key = aws.call("kms", "create_key", &json!({})).await?;
        let everything = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        let everything = json!({"Version": "2012-10-17", "Statement": [everything]});
        let boundary = json!({"PolicyName": "boundary", "PolicyDocument": everything.to_string()});
        let boundary = aws.call("iam", "create_policy", &boundary).await?;
        let arn = |value: &Value| value.as_str().map(str::to_owned);
        Ok(Self {
            key: arn(&key["KeyMetadata"]["Arn"]).context("the key has no ARN")?,
            boundary: arn(&boundary["Policy"]["Arn"]).context("the policy has no ARN")?,
        })
    }

    pub(super) fn parameters(&self) -> [String; 4] {
        [
            format!("KmsKeyArn={}", self.key),
            format!("PermissionsBoundaryArn={}", self.boundary),
            "CostAllocationTagName=CostCenter".to_owned(),
            "CostAllocationTagValue=42".to_owned(),
        ]
    }

    /// Looks for the key at queues, log groups and workgroup, and for the tag on launched
    /// instances.
    pub(super) async fn are_seen(&self, stack: &Stack) -> Result<()> {
        let aws = &stack.ministack.aws;
        for queue in [
            "Crawl",
            "CrawlDeadLetter",
            "Notify",
            "NotifyDeadLetter",
            "Curate",
            "CurateDeadLetter",
        ] {
            let url = stack.deployment.output(&format!("{queue}QueueUrl"))?;
            let asked = json!({"QueueUrl": url, "AttributeNames": ["KmsMasterKeyId"]});
            let queue = aws.call("sqs", "get_queue_attributes", &asked).await?;
            self.is_key(&queue["Attributes"]["KmsMasterKeyId"], url)?;
        }
        let groups = aws.call("logs", "describe_log_groups", &json!({})).await?;
        let groups = groups["logGroups"].as_array().context("no log groups")?;
        ensure!(groups.len() >= LOG_GROUPS, "the log groups are {groups:?}");
        for group in groups {
            self.is_key(&group["kmsKeyId"], &group["logGroupName"].to_string())?;
        }
        let name = stack.deployment.output("WorkGroupName")?;
        let group = aws
            .call("athena", "get_work_group", &json!({"WorkGroup": name}))
            .await?;
        let results = &group["WorkGroup"]["Configuration"]["ResultConfiguration"];
        self.is_key(
            &results["EncryptionConfiguration"]["KmsKey"],
            "query results",
        )?;
        let keys = aws.call("kms", "list_keys", &json!({})).await?;
        ensure!(
            keys["Keys"].as_array().is_some_and(|keys| keys.len() == 1),
            "the stack made a key beside the one it was given: {keys}"
        );
        for output in ["ConsumerTemplateId", "ProducerTemplateId"] {
            launches_with_the_tag(aws, stack.deployment.output(output)?).await?;
        }
        Ok(())
    }

    fn is_key(&self, found: &Value, of: &str) -> Result<()> {
        ensure!(
            found == self.key.as_str(),
            "the key of {of} is {found}, and not {}",
            self.key
        );
        Ok(())
    }
}

async fn launches_with_the_tag(aws: &Aws, template: &str) -> Result<()> {
    let data = launch_template_data(aws, template).await?;
    let launched = &data["TagSpecifications"];
    let has_tag = |resource: &str| {
        let all = launched.as_array().into_iter().flatten();
        let mut of_resource = all.filter(|tags| tags["ResourceType"] == resource);
        of_resource.any(|tags| {
            tags["Tags"]
                .as_array()
                .is_some_and(|tags| tags.contains(&json!({"Key": "CostCenter", "Value": "42"})))
        })
    };
    for resource in ["instance", "volume", "network-interface"] {
        ensure!(
            has_tag(resource),
            "{template} launches {resource} without the tag: {launched}"
        );
    }
    Ok(())
}
