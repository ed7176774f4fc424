use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::Workspace;

const KAFKA_NEEDS: &str = "Apache Kafka needs Java 17 or later and Maven; \
     on Debian: apt-get install openjdk-17-jre-headless maven";

/// Checks that Apache Kafka's requirements are installed.
///
/// # Errors
/// Java 17 or Maven is missing; the error names the packages to install.
pub(crate) fn check_java_and_maven() -> Result<()> {
    let java = banner("java");
    let maven = banner("mvn");
    let missing = missing(java.as_deref(), maven.as_deref());
    ensure!(
        missing.is_empty(),
        "{}\n  {KAFKA_NEEDS}",
        missing.join("; ")
    );
    Ok(())
}

/// Returns the version that a program prints, or `None` if it is not on the `PATH`.
fn banner(program: &str) -> Option<String> {
    let output = std::process::Command::new(program)
        .arg("-version")
        .output()
        .ok()?;
    // Java prints to stderr, Maven to stdout.
    let text = [output.stderr, output.stdout].concat();
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// Returns the requirements that the banners of Java and Maven do not meet.
fn missing(java: Option<&str>, maven: Option<&str>) -> Vec<String> {
    let version = |banner: &str| -> Option<u32> {
        let major = banner.split('"').nth(1)?.split('.').next()?;
        major.parse().ok()
    };
    let mut missing = Vec::new();
    match java {
        None => missing.push("java is not on the PATH".to_owned()),
        Some(banner) if version(banner).is_none_or(|version| version < 17) => {
            let line = banner.lines().next().unwrap_or("no version");
            missing.push(format!("java is not version 17 or later: {line}"));
        }
        Some(_) => {}
    }
    if maven.is_none() {
        missing.push("mvn is not on the PATH".to_owned());
    }
    missing
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_and_maven_are_both_named_if_both_are_missing() {
        let java_11 = "openjdk version \"11.0.2\" 2019-01-15\nOpenJDK Runtime";
        let java_17 = "openjdk version \"17.0.19\" 2026-04-21";
        let no_maven = "mvn is not on the PATH";
        for (java, maven, wanted) in [
            (None, None, vec!["java is not on the PATH", no_maven]),
            (Some(java_17), None, vec![no_maven]),
            (
                Some(java_11),
                Some("Apache Maven 3.8.7"),
                vec!["java is not version 17 or later: openjdk version \"11.0.2\" 2019-01-15"],
            ),
            (Some(java_17), Some("Apache Maven 3.8.7"), vec![]),
        ] {
            assert_eq!(missing(java, maven), wanted);
        }
    }
}
