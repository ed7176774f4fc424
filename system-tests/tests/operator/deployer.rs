//! A user of the local AWS with docs/deployer-policy and nothing else.

use anyhow::{Context as _, Result, bail, ensure};
use local::{Deployment, Ministack, REGION, Workspace, sample};
use serde_json::{Value, json};

use super::user;

/// Actions that ministack asks of the user of `sam deploy`. It does not ask for
/// CloudFormation's calls for a resource: local/test_deployer_policy.py compares those.
const ASKED: [&str; 2] = ["s3:PutObject", "cloudformation:CreateChangeSet"];

const USER: &str = "deployer";
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

/// Creates the user, as docs/deploying-with-least-privilege.md does, and makes it the one
/// who deploys. Without one of the actions its `sam deploy` has to be refused.
pub(super) async fn appoint(ministack: &mut Ministack, workspace: &Workspace) -> Result<()> {
    let root = ministack.aws.clone();
    let iam = async |operation: &str, parameters| root.call("iam", operation, &parameters).await;
    ministack.deployer = user::create(&root, USER).await?;
    for file in std::fs::read_dir(workspace.repository.path("docs/deployer-policy"))? {
        let path = file?.path();
        let mut document = std::fs::read_to_string(&path)?;
        for (placeholder, name) in PLACEHOLDERS {
            document = document.replace(placeholder, name);
        }
        let policy = path.file_stem().context("a file without a name")?;
        let policy = json!({"PolicyName": policy.to_string_lossy(), "PolicyDocument": document});
        let made = iam("create_policy", policy)
            .await
            .with_context(|| path.display().to_string())?;
        let arn = &made["Policy"]["Arn"];
        iam(
            "attach_user_policy",
            json!({"UserName": USER, "PolicyArn": arn}),
        )
        .await?;
    }
    root.call("cloudformation", "create_stack", &sam_stack())
        .await?;

    for action in ASKED {
        let without = json!({"UserName": USER, "PolicyName": "without"});
        let deny = json!({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}],
        });
        let mut policy = without.clone();
        policy["PolicyDocument"] = deny.to_string().into();
        iam("put_user_policy", policy).await?;
        // The deployment is refused before they are used.
        let parameters = sample::parameters();
        let deployed = Deployment::deploy(ministack, workspace, &parameters).await;
        let Err(refusal) = deployed else {
            bail!("sam deploy succeeded without {action}");
        };
        let wanted = format!("not authorized to perform: {action}");
        ensure!(
            format!("{refusal:#}").contains(&wanted),
            "sam deploy without {action}: got {refusal:#}, wanted {wanted:?}"
        );
        iam("delete_user_policy", without).await?;
        println!("     sam deploy without {action}: {wanted}");
    }
    Ok(())
}

/// The SAM CLI's stack, with a bucket that takes plain HTTP.
fn sam_stack() -> Value {
    let template = json!({
        "Resources": {
            "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": SAM_BUCKET}},
        },
        "Outputs": {"SourceBucket": {"Value": {"Ref": "Bucket"}}},
    });
    json!({
        "StackName": SAM_STACK,
        "Tags": [{"Key": "ManagedStackSource", "Value": "AwsSamCli"}],
        "TemplateBody": template.to_string(),
    })
}
