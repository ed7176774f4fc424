use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use local::{Aws, Instance, Processes, Tools, wait_until};
use serde_json::json;
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

/// Waits until an instance has booted.
///
/// # Errors
/// Its boot fails; quotes its log.
pub async fn ready(instance: &Instance) -> Result<()> {
    let signal = signal(instance).await?;
    let log = async || instance.read("/var/log/ticklake/boot.log").await;
    ensure!(
        signal.contains("--success true"),
        "the boot failed: {signal}{}",
        log().await?
    );
    // An instance that its group launches outside a deployment has nobody to tell, which
    // is no failure.
    wait_until("the boot's end", BOOT, || async {
        Ok(log()
            .await?
            .contains("no deployment waits for this instance"))
    })
    .await?;
    ensure!(
        !log().await?.contains("boot failed"),
        "a boot that was ready failed: {}",
        log().await?
    );
    Ok(())
}

/// Returns the user data of the newest version of a launch template, as EC2 hands it to
/// an instance.
///
/// # Errors
/// There is none.
pub async fn latest_user_data(tools: &Tools, aws: &Aws, template: &str) -> Result<String> {
    let parameters = json!({"LaunchTemplateId": template, "Versions": ["$Latest"]});
    let answer = tools
        .aws(aws, "ec2", "describe_launch_template_versions", parameters)
        .await?;
    let encoded = answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]["UserData"].as_str();
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
pub async fn shellcheck(
    tools: &Tools,
    processes: &Processes,
    folder: &Path,
    name: &str,
    user_data: &str,
) -> Result<()> {
    let file = folder.join(format!("{name}.user-data"));
    std::fs::write(&file, user_data)?;
    processes
        .run(
            "shellcheck",
            Command::new(tools.path("shellcheck")).arg(&file),
            &folder.join(format!("{name}-shellcheck.log")),
        )
        .await
}
