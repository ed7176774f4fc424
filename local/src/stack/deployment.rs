use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use lake::Format;
use serde_json::json;
use tokio::process::Command;

use crate::aws::call::items;
use crate::{Aws, KafkaKind, Ministack, Workspace, without_cargo_variables};

/// Name of the local stack.
const STACK: &str = "ticklake";

/// Parameters without which the local AWS cannot deploy (docs/local-stack.md).
pub const LOCAL_PARAMETERS: [&str; 3] = [
    "RequireTls=false",
    "NamedQueries=false",
    "AgentImageArm64=/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
];

/// Parameters of the template that differ between stacks.
#[derive(Debug, Clone)]
pub struct Parameters {
    /// Format of the lake.
    pub format: Format,
    /// `typed` or `inferred`.
    pub crawler_mode: String,
    /// Address for the mails; may be empty.
    pub subscriber: String,
    /// Kafka's bootstrap brokers.
    pub kafka: String,
    /// Others, as `Name=value`.
    pub more: Vec<String>,
}

/// The parts that `sam build` builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// The functions. Agents run from cargo's build for this machine.
    Functions,
    /// Also the layers of agents and Kafka, as an operator deploys them.
    All,
}

/// `template.yaml`, deployed.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Number of resources in the stack.
    pub resources: usize,
    outputs: BTreeMap<String, String>,
}

impl Deployment {
    /// Builds with `sam build`.
    ///
    /// # Errors
    /// The build fails; the error quotes its log. The layers also need Java and Maven.
    pub async fn build(what: Build, workspace: &Workspace) -> Result<()> {
        let mut build = sam_command(workspace);
        // The installed toolchain builds; none is fetched.
        build
            .arg("build")
            .env("RUSTUP_DIST_SERVER", "http://127.0.0.1:9");
        match what {
            Build::Functions => {
                build.args(["--exclude", "AgentLayer", "--exclude", "KafkaLayer"]);
            }
            // Its jars are the layer's.
            Build::All => KafkaKind::Apache.check()?,
        }
        workspace.run("sam build", &mut build).await
    }

    /// Deploys the result of [`Deployment::build`] with `sam deploy`.
    ///
    /// # Errors
    /// The deployment fails; the error quotes its log.
    pub async fn deploy(
        ministack: &Ministack,
        workspace: &Workspace,
        parameters: &Parameters,
    ) -> Result<Self> {
        let mut deploy = sam_command(workspace);
        deploy
            .args([
                "deploy",
                "--stack-name",
                STACK,
                "--no-progressbar",
                "--parameter-overrides",
            ])
            .envs(ministack.deployer.environment());
        deploy
            .arg(format!("LakeFormat={}", parameters.format.name()))
            .arg(format!("CrawlerMode={}", parameters.crawler_mode));
        deploy
            .arg(format!("KafkaBootstrapServers={}", parameters.kafka))
            .args(LOCAL_PARAMETERS)
            .args(&parameters.more);
        if !parameters
            .more
            .iter()
            .any(|parameter| parameter.starts_with("ExistingBucket="))
        {
            deploy.arg("LakeBucketName=ticklake-lake");
        }
        if !parameters.subscriber.is_empty() {
            deploy.arg(format!("SubscriberEmail={}", parameters.subscriber));
        }
        workspace.run("sam deploy", &mut deploy).await?;
        Self::find(&ministack.aws).await
    }

    /// Returns the existing deployment.
    ///
    /// # Errors
    /// There is none, or it is not complete.
    pub async fn find(aws: &Aws) -> Result<Self> {
        let name = json!({"StackName": STACK});
        let described = aws.call("cloudformation", "describe_stacks", &name).await?;
        let stack = &described["Stacks"][0];
        let status = stack["StackStatus"].as_str().unwrap_or("unknown");
        if !status.ends_with("_COMPLETE") || status.contains("ROLLBACK") {
            bail!(
                "stack {STACK} is {status}: {}",
                stack["StackStatusReason"]
                    .as_str()
                    .unwrap_or("no reason given")
            );
        }
        let outputs = items(&stack["Outputs"]).filter_map(|output| {
            let text = |field: &str| output[field].as_str().map(str::to_owned);
            Some((text("OutputKey")?, text("OutputValue")?))
        });
        let resources = aws
            .call("cloudformation", "describe_stack_resources", &name)
            .await?;
        Ok(Self {
            resources: items(&resources["StackResources"]).count(),
            outputs: outputs.collect(),
        })
    }

    /// Returns an output of the stack.
    ///
    /// # Errors
    /// The template has no such output.
    pub fn output(&self, name: &str) -> Result<&str> {
        self.outputs
            .get(name)
            .map(String::as_str)
            .with_context(|| format!("the stack has no output {name}"))
    }
}

/// Returns a `sam` that runs in the work tree, ignores the user's AWS configuration, and
/// keeps its state in the workspace's folder.
pub fn sam_command(workspace: &Workspace) -> Command {
    let Workspace {
        repository,
        tools,
        folder,
        ..
    } = workspace;
    let mut sam = Command::new(tools.path("sam"));
    without_cargo_variables(&mut sam);
    sam.current_dir(repository.root())
        .env("PATH", tools.search_path())
        .env("SAM_CLI_TELEMETRY", "0")
        .env("__SAM_CLI_APP_DIR", folder.join("sam"));
    sam.env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env_remove("AWS_PROFILE");
    sam
}
