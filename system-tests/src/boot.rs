use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use local::{Aws, Instance, Workspace, wait_until};
use serde_json::{Value, json};
use tokio::process::Command;

/// How long a boot may take.
const BOOT: Duration = Duration::from_secs(120);

/// Waits until a boot has signalled its outcome to CloudFormation; returns the signal.
///
/// # Errors
/// No signal comes within two minutes.
pub async fn signal(instance: &Instance) -> Result<String> {
    let path = "/var/log/ticklake/cfn-signal";
    wait_until("the boot's signal to CloudFormation", BOOT, || async {
        Ok(!instance.read(path).await?.is_empty())
    })
    .await?;
    instance.read(path).await
}

/// Waits until a file of an instance has some words.
///
/// # Errors
/// It does not have them in time.
pub async fn says(instance: &Instance, path: &str, words: &str, within: Duration) -> Result<()> {
    wait_until(&format!("{words:?} in {path}"), within, || async {
        Ok(instance.read(path).await?.contains(words))
    })
    .await
}

/// Waits until an instance has booted.
///
/// # Errors
/// Its boot fails; quotes its log.
pub async fn ready(instance: &Instance) -> Result<()> {
    let signal = signal(instance).await?;
    let path = "/var/log/ticklake/boot.log";
    let log = async || instance.read(path).await;
    ensure!(
        signal.contains("--success true"),
        "the boot failed: {signal}{}",
        log().await?
    );
    // An instance that its group launches outside a deployment has nobody to tell, which
    // is no failure.
    says(
        instance,
        path,
        "no deployment waits for this instance",
        BOOT,
    )
    .await?;
    ensure!(
        !log().await?.contains("boot failed"),
        "a boot that was ready failed: {}",
        log().await?
    );
    Ok(())
}

/// Returns the data of the newest version of a launch template.
///
/// # Errors
/// EC2 refuses.
pub async fn launch_template_data(aws: &Aws, template: &str) -> Result<Value> {
    let asked = json!({"LaunchTemplateId": template, "Versions": ["$Latest"]});
    let mut answer = aws
        .call("ec2", "describe_launch_template_versions", &asked)
        .await?;
    Ok(answer["LaunchTemplateVersions"][0]["LaunchTemplateData"].take())
}

/// Returns the user data of the newest version of a launch template, as EC2 hands it to
/// an instance.
///
/// # Errors
/// There is none.
pub async fn latest_user_data(aws: &Aws, template: &str) -> Result<String> {
    let data = launch_template_data(aws, template).await?;
    let encoded = data["UserData"].as_str();
    let decoded =
        BASE64_STANDARD.decode(encoded.with_context(|| format!("{template} has no user data"))?)?;
    Ok(String::from_utf8(decoded)?)
}

/// Lets systemd verify a unit in its installed place.
///
/// # Errors
/// systemd finds a fault in it.
pub async fn verify_unit(instance: &Instance, unit: &str) -> Result<()> {
    let said = instance
        .run(&[
            "systemd-analyze",
            "verify",
            &format!("/etc/systemd/system/{unit}"),
        ])
        .await?;
    // Warnings do not fail it.
    ensure!(!said.contains(unit), "systemd-analyze verify: {said}");
    Ok(())
}

/// Checks user data as it is deployed.
///
/// # Errors
/// shellcheck finds a fault in it.
pub async fn shellcheck(workspace: &Workspace, name: &str, user_data: &str) -> Result<()> {
    let file = workspace.folder.join(format!("{name}.user-data"));
    std::fs::write(&file, user_data)?;
    let mut shellcheck = Command::new(workspace.tools.path("shellcheck"));
    workspace
        .run(&format!("{name} shellcheck"), shellcheck.arg(&file))
        .await
}
