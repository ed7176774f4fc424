//! A user of the local AWS with docs/deployer-policy and nothing else.

use anyhow::{Context as _, Result};
use local::{Aws, REGION, Repository, Tools};
use serde_json::{Value, json};

/// Actions that ministack asks of whoever runs `sam deploy`. What CloudFormation calls for
/// a resource it does not ask: local/test_deployer_policy.py compares that.
pub(super) const DEPLOYER_ACTIONS: [&str; 2] = ["s3:PutObject", "cloudformation:CreateChangeSet"];

const USER: &str = "deployer";
/// The policy that takes an action away.
const WITHOUT: &str = "without";
/// The policy's placeholders, and their names in the local AWS.
const PLACEHOLDERS: [(&str, &str); 5] = [
    ("ACCOUNT", "000000000000"),
    ("REGION", REGION),
    ("DATABASE", "ticklake"),
    ("LAKE", "ticklake-lake"),
    ("STACK", "ticklake"),
];
/// Stack and bucket of the SAM CLI. The bucket that it makes itself refuses plain HTTP.
const SAM_STACK: &str = "aws-sam-cli-managed-default";
const SAM_BUCKET: &str = "aws-sam-cli-managed-default-local";

pub(super) struct Deployer {
    /// The local AWS as the user sees it.
    pub(super) aws: Aws,
    root: Aws,
    tools: Tools,
}

impl Deployer {
    /// Makes the user, as docs/deploying-with-least-privilege.md does.
    pub(super) async fn create(root: &Aws, repository: &Repository, tools: &Tools) -> Result<Self> {
        let iam =
            async |operation: &str, parameters| tools.aws(root, "iam", operation, parameters).await;
        iam("create_user", json!({"UserName": USER})).await?;
        for file in std::fs::read_dir(repository.path("docs/deployer-policy"))? {
            let path = file?.path();
            let mut document = std::fs::read_to_string(&path)?;
            for (placeholder, name) in PLACEHOLDERS {
                document = document.replace(placeholder, name);
            }
            let name = path.file_stem().context("a file without a name")?;
            let made = iam(
                "create_policy",
                json!({"PolicyName": name.to_string_lossy(), "PolicyDocument": document}),
            )
            .await
            .with_context(|| path.display().to_string())?;
            let arn = &made["Policy"]["Arn"];
            iam(
                "attach_user_policy",
                json!({"UserName": USER, "PolicyArn": arn}),
            )
            .await?;
        }
        let made = iam("create_access_key", json!({"UserName": USER})).await?;
        let key = |name: &str| made["AccessKey"][name].as_str().context("no access key");
        let aws = root
            .of_user(key("AccessKeyId")?, key("SecretAccessKey")?)
            .await;
        let sam = json!({
            "StackName": SAM_STACK,
            "Tags": [{"Key": "ManagedStackSource", "Value": "AwsSamCli"}],
            "TemplateBody": json!({
                "Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": SAM_BUCKET}}},
                "Outputs": {"SourceBucket": {"Value": {"Ref": "Bucket"}}},
            })
            .to_string(),
        });
        tools
            .aws(root, "cloudformation", "create_stack", sam)
            .await?;
        Ok(Self {
            aws,
            root: root.clone(),
            tools: tools.clone(),
        })
    }

    /// Takes one action from the user.
    pub(super) async fn without(&self, action: &str) -> Result<Value> {
        let deny = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}]});
        let policy =
            json!({"UserName": USER, "PolicyName": WITHOUT, "PolicyDocument": deny.to_string()});
        self.tools
            .aws(&self.root, "iam", "put_user_policy", policy)
            .await
    }

    /// Gives it back.
    pub(super) async fn restore(&self) -> Result<Value> {
        let policy = json!({"UserName": USER, "PolicyName": WITHOUT});
        self.tools
            .aws(&self.root, "iam", "delete_user_policy", policy)
            .await
    }
}
