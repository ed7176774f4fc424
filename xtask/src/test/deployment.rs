//! The parts of a deployment, checked without deploying it: scripts, binaries, and the
//! template's copies of things that are elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use local::{Repository, Tools, Workspace, statements};
use serde_json::Value;
use tokio::process::Command;

use super::template::translate;

/// The resources that `sam delete` leaves, and their names in docs/runbook.md, "Delete
/// and restore".
const RETAINED: [(&str, &str); 4] = [
    ("KafkaVolume1", "the brokers' data volumes"),
    ("KafkaVolume2", "the brokers' data volumes"),
    ("KafkaVolume3", "the brokers' data volumes"),
    ("LakeBucket", "the lake's bucket with all its objects"),
];
/// Newest glibc symbols that Amazon Linux 2023 has.
const GLIBC: (u32, u32) = (2, 34);

/// Security settings of the template that checkov knows; `.checkov.yaml` has the
/// exceptions and their reasons.
pub(crate) async fn checkov(workspace: &Workspace) -> Result<()> {
    let Workspace {
        repository,
        processes,
        ..
    } = workspace;
    let checkov = Tools::install_checkov(repository, processes).await?;
    let mut command = Command::new(checkov);
    command
        .args(["--config-file", ".checkov.yaml"])
        .current_dir(repository.root());
    workspace.run("checkov", &mut command).await
}

/// Every shell script in the tree.
pub(crate) async fn scripts(workspace: &Workspace) -> Result<()> {
    let repository = &workspace.repository;
    let mut shellcheck = Command::new(workspace.tools.path("shellcheck"));
    let scripts = scripts_below(repository.root())?;
    ensure!(scripts.len() >= 8, "only {scripts:?} were found");
    shellcheck
        .args([
            "--external-sources",
            "--source-path=SCRIPTDIR",
            "--exclude=SC2153",
        ])
        .args(&scripts);
    // broker.sh takes lib.sh from the folder beside it, as the layer puts it there.
    shellcheck.arg(format!(
        "--source-path={}",
        repository.path("ec2-agents/boot").display()
    ));
    workspace.run("shellcheck", &mut shellcheck).await
}

fn scripts_below(root: &Path) -> Result<Vec<PathBuf>> {
    let listed = std::process::Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output()
        .context("git")?;
    ensure!(
        listed.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let files = listed
        .stdout
        .split(|byte| *byte == 0)
        .map(|name| root.join(String::from_utf8_lossy(name).as_ref()));
    let is_script = |path: &PathBuf| {
        let text = std::fs::read(path).unwrap_or_default();
        let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        first.starts_with(b"#!") && first.ends_with(b"bash")
            || path.extension().is_some_and(|extension| extension == "sh")
    };
    Ok(files.filter(is_script).collect())
}

/// The agents in the layer start on Amazon Linux 2023.
pub(crate) async fn layer(repository: &Repository) -> Result<()> {
    for agent in ["tick-consumer", "tick-producer"] {
        let binary = repository.path(".aws-sam/build/AgentLayer/bin").join(agent);
        let symbols = std::process::Command::new("objdump")
            .arg("-T")
            .arg(&binary)
            .output()
            .context("objdump; on Debian: apt-get install binutils")?;
        ensure!(
            symbols.status.success(),
            "{}: {}",
            binary.display(),
            String::from_utf8_lossy(&symbols.stderr)
        );
        let text = String::from_utf8_lossy(&symbols.stdout).into_owned();
        ensure!(
            !text.contains("OPENSSL_"),
            "{agent} needs the OpenSSL of the machine that built it; build it with OPENSSL_NO_VENDOR=0"
        );
        let version = |word: &str| {
            let (major, minor) = word
                .trim_matches(['(', ')'])
                .strip_prefix("GLIBC_")?
                .split_once('.')?;
            Some((
                major.parse::<u32>().ok()?,
                minor.split('.').next()?.parse::<u32>().ok()?,
            ))
        };
        let newest = text
            .split_whitespace()
            .filter_map(version)
            .max()
            .with_context(|| format!("{agent} needs no glibc"))?;
        ensure!(
            newest <= GLIBC,
            "{agent} needs glibc {}.{}, and Amazon Linux 2023 has {}.{}",
            newest.0,
            newest.1,
            GLIBC.0,
            GLIBC.1
        );
    }
    Ok(())
}

/// The template's copies agree with their originals: the queries of `sql/`, names of
/// metrics, sections of the runbook.
pub(crate) async fn references(workspace: &Workspace) -> Result<()> {
    let repository = &workspace.repository;
    let text = std::fs::read_to_string(translate(workspace).await?)?;
    let template: Value = serde_json::from_str(&text)?;
    let resources = template["Resources"].as_object().context("no resources")?;
    let of_type = |kind: &'static str| {
        resources
            .iter()
            .filter(move |(_, resource)| resource["Type"] == kind)
    };
    queries(
        repository,
        of_type("AWS::Athena::NamedQuery").map(|(_, query)| &query["Properties"]),
    )?;
    let runbook = read(repository, "docs/runbook.md")?;
    let sections: BTreeMap<String, &str> = runbook
        .split("\n## ")
        .filter_map(|section| section.split_once('\n'))
        .map(|(heading, text)| (anchor(heading), text))
        .collect();
    let agent_metrics = read(repository, "ec2-agents/tick-consumer/src/metrics.rs")?;
    let carried = read(repository, "ec2-agents/boot/tick-consumer.cloudwatch.json")?;
    let broker = read(repository, "ec2-agents/kafka/kafka.cloudwatch.json")?;
    let replication = read(repository, "ec2-agents/kafka/replication.sh")?;
    let functions = [
        read_all(&repository.path("functions"))?,
        read_all(&repository.path("crates"))?,
    ]
    .concat();
    ensure!(
        !functions.contains("gauge!("),
        "a function has a gauge: it would be written at each flush, measured or not"
    );
    // One with labels has more dimensions than alarms and dashboard name.
    let is_sent = |metric: &str| match metric {
        metric if metric.starts_with("ticklake_") => {
            agent_metrics.contains(&format!("\"{metric}\""))
                && carried.contains(&format!("^{metric}$"))
        }
        metric if metric.starts_with("disk_") => broker.contains("used_percent"),
        metric => {
            functions.contains(&format!("!(\"{metric}\")"))
                || replication.contains(&format!("--metric-name {metric} "))
        }
    };
    for (name, alarm) in of_type("AWS::CloudWatch::Alarm") {
        let (properties, metric) = (
            &alarm["Properties"],
            alarm["Properties"]["MetricName"]
                .as_str()
                .unwrap_or_default(),
        );
        let section = properties["AlarmDescription"]
            .as_str()
            .and_then(|text| text.rsplit_once("docs/runbook.md#"))
            .map(|(_, section)| section);
        let section =
            section.with_context(|| format!("{name} names no section of docs/runbook.md"))?;
        let text = sections
            .get(section)
            .with_context(|| format!("{name}: docs/runbook.md has no section #{section}"))?;
        ensure!(
            text.contains(name.as_str()),
            "docs/runbook.md#{section} does not say that {name} leads there"
        );
        ensure!(
            properties["Namespace"] != "ticklake" || is_sent(metric),
            "{name} watches {metric}, which nothing sends"
        );
    }
    // The body and what is put into it, as JSON within JSON.
    let dashboards: Vec<String> = of_type("AWS::CloudWatch::Dashboard")
        .map(|(_, dashboard)| dashboard["Properties"]["DashboardBody"].to_string())
        .map(|body| body.replace('\\', ""))
        .collect();
    let shown: BTreeSet<&str> = dashboards
        .iter()
        .flat_map(|body| body.split("[\"ticklake\", \"").skip(1))
        .filter_map(|metric| metric.split('"').next())
        .collect();
    ensure!(shown.len() > 5, "the dashboard shows only {shown:?}");
    for metric in shown {
        ensure!(
            is_sent(metric),
            "the dashboard shows {metric}, which nothing sends"
        );
    }
    create_only(&template)?;
    let retained: Vec<&str> = resources
        .iter()
        .filter(|(_, resource)| resource["DeletionPolicy"] == "RetainExceptOnCreate")
        .map(|(name, _)| name.as_str())
        .collect();
    ensure!(
        retained == RETAINED.map(|(name, _)| name),
        "a deleted stack leaves {retained:?}, and not {RETAINED:?}"
    );
    let told = sections
        .get("delete-and-restore")
        .context("docs/runbook.md has no section on deleting")?;
    for (name, words) in RETAINED {
        ensure!(
            told.contains(words),
            "docs/runbook.md does not say that a deleted stack leaves {name}: {words:?}"
        );
    }
    parameters(&template)
}

/// The bucket's policy lets nobody overwrite the consumers' objects: its prefixes are
/// those of their role.
fn create_only(template: &Value) -> Result<()> {
    let prefixes = |statement: &Value| -> BTreeSet<String> {
        let resources = statement["Resource"].as_array().into_iter().flatten();
        resources
            .filter_map(|resource| {
                resource["Fn::Sub"]
                    .as_str()?
                    .split_once("/")
                    .map(|(_, prefix)| prefix.to_owned())
            })
            .collect()
    };
    let policy =
        &template["Resources"]["LakeBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"];
    let denies = policy.as_array().and_then(|statements| {
        statements
            .iter()
            .find(|statement| statement["Sid"] == "CreateOnly")
    });
    let denies = denies.context("the bucket's policy has no statement CreateOnly")?;
    let condition = serde_json::json!({
        "Null": {"s3:if-none-match": "true"},
        "Bool": {"s3:ObjectCreationOperation": "true"},
    });
    ensure!(
        denies["Effect"] == "Deny"
            && denies["Principal"] == "*"
            && denies["Condition"] == condition,
        "CreateOnly is {denies}"
    );
    let role = &template["Resources"]["ConsumerRole"]["Properties"]["Policies"][0]["PolicyDocument"]
        ["Statement"];
    let puts = |statement: &&Value| {
        statement["Action"]
            .as_array()
            .is_some_and(|actions| actions.iter().any(|action| action == "s3:PutObject"))
    };
    let writes = role
        .as_array()
        .and_then(|statements| statements.iter().find(puts))
        .context("the consumer's role writes nothing")?;
    let (denied, written) = (prefixes(denies), prefixes(writes));
    ensure!(
        denied == written && !denied.is_empty(),
        "consumers write to {written:?}, and {denied:?} cannot be overwritten"
    );
    Ok(())
}

/// Every parameter is in a group of the guided deployment.
fn parameters(template: &Value) -> Result<()> {
    let groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        .as_array()
        .context("no groups of parameters")?;
    let grouped: BTreeSet<&str> = groups
        .iter()
        .filter_map(|group| group["Parameters"].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let all: BTreeSet<&str> = template["Parameters"]
        .as_object()
        .context("no parameters")?
        .keys()
        .map(String::as_str)
        .collect();
    let difference: Vec<_> = grouped.symmetric_difference(&all).collect();
    if difference.is_empty() {
        Ok(())
    } else {
        bail!("in a group or a parameter, but not both: {difference:?}")
    }
}

fn queries<'a>(repository: &Repository, queries: impl Iterator<Item = &'a Value>) -> Result<()> {
    let files = statements(repository)?;
    let mut named = BTreeSet::new();
    for query in queries {
        let name = query["Name"].as_str().context("a query has no name")?;
        let file = format!("{name}.sql");
        let sql = files.get(&file).with_context(|| {
            format!("template.yaml has a query {name}, but no sql/{file} is there")
        })?;
        ensure!(
            query["QueryString"].as_str().map(str::trim) == Some(sql.trim()),
            "template.yaml's query {name} is not sql/{file}"
        );
        named.insert(file);
    }
    let files: BTreeSet<String> = files.into_keys().collect();
    ensure!(
        files == named,
        "template.yaml has the queries {named:?}, and sql/ {files:?}"
    );
    Ok(())
}

/// Returns the anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-'))
        .collect::<String>();
    kept.replace(' ', "-")
}

fn read(repository: &Repository, path: &str) -> Result<String> {
    let path = repository.path(path);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn read_all(folder: &Path) -> Result<String> {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            text.push_str(&read_all(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path)?);
        }
    }
    Ok(text)
}
