use anyhow::{Context as _, Result};
use local::Aws;
use serde_json::json;

/// Creates a user without permissions and an access key of it; returns the user's
/// clients.
pub(super) async fn create(root: &Aws, name: &str) -> Result<Aws> {
    let user = json!({"UserName": name});
    root.call("iam", "create_user", &user).await?;
    let made = root.call("iam", "create_access_key", &user).await?;
    let field = |field: &str| {
        made["AccessKey"][field]
            .as_str()
            .with_context(|| format!("the access key of {name} has no {field}"))
    };
    Ok(root
        .of_user(field("AccessKeyId")?, field("SecretAccessKey")?)
        .await)
}
