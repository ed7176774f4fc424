use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::Workspace;

const KAFKA_NEEDS: &str = "Apache Kafka needs Java 17 or later and Maven; \
     on Debian: apt-get install openjdk-17-jre-headless maven";

/// Checks that Apache Kafka's requirements are installed.
///
/// # Errors
/// Java 17 or Maven is missing; the error names the packages to install.
pub(crate) fn check_java_and_maven() -> Result<()> {
    let output = |program: &str| {
        std::process::Command::new(program)
            .arg("-version")
            .output()
            .with_context(|| format!("{program} is not on the PATH\n  {KAFKA_NEEDS}"))
    };
    let java = output("java")?;
    let banner = String::from_utf8_lossy(&java.stderr).into_owned();
    let version = banner
        .split('"')
        .nth(1)
        .and_then(|text| text.split('.').next())
        .and_then(|major| major.parse::<u32>().ok());
    if version.is_none_or(|version| version < 17) {
        bail!(
            "java is not version 17 or later: {}\n  {KAFKA_NEEDS}",
            banner.lines().next().unwrap_or("no version")
        );
    }
    output("mvn")?;
    Ok(())
}

/// Returns the folder with Apache Kafka's jars. Fetches them if they are missing.
///
/// # Errors
/// Java 17 or Maven is missing, or Maven cannot fetch them.
pub(crate) async fn kafka_jars(workspace: &Workspace) -> Result<PathBuf> {
    check_java_and_maven()?;
    let Workspace {
        repository,
        processes,
        ..
    } = workspace;
    let jars = repository.path(".tools/kafka-4.1.1");
    let stamp = jars.join("complete");
    if !stamp.exists() {
        let mut maven = Command::new("mvn");
        maven
            .args(["-q", "-B", "-f"])
            .arg(repository.path("ec2-agents/kafka/pom.xml"))
            .arg("dependency:copy-dependencies");
        maven
            .arg(format!("-DoutputDirectory={}", jars.display()))
            .arg("-DincludeScope=runtime");
        maven.arg(format!(
            "-Dmaven.repo.local={}",
            repository.path(".tools/m2").display()
        ));
        let log: &Path = &repository.path(".tools/maven.log");
        processes
            .run("mvn", &mut maven, log)
            .await
            .context(KAFKA_NEEDS)?;
        std::fs::write(&stamp, "").with_context(|| stamp.display().to_string())?;
    }
    Ok(jars)
}
