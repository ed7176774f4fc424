//! An operator's life with a stack, on a local AWS with IAM enforcement and a broker that
//! speaks TLS and SASL/SCRAM: deploys it with docs/deployer-policy alone, under a key and
//! a permissions boundary, runs the agents with the deployed settings in the deployed
//! roles, loses events and sends them again, runs the checklist of a first deployment,
//! changes a parameter, deletes the stack, and takes over its bucket with a new one.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use local::arrivals::{all_announced, all_crawled, all_landed};
use local::sample::{self, TOPIC};
use local::{
    Kafka, KafkaKind, LakeContents, Ministack, Parameters, ProcessId, REGION, Role, Stack,
    sam_command,
};
use serde_json::{Value, json};
use system_tests::{Workspace, expect_known};
use tokio::process::Command;

use controls::Controls;

mod aws_check;
mod controls;
mod deployer;
mod user;

/// Ticks that are sent at a time.
const TICKS: u64 = 500;
/// The time limit for an agent to meet a missing permission.
const EFFECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Actions of the agents' roles that are not tried here, and why.
const TRIED_ELSEWHERE: [(&str, &str); 13] = [
    (
        "glue:BatchUpdatePartition",
        "by the role of curate, in `roles`: it takes an hour with two versions",
    ),
    ("s3:PutObjectTagging", "as glue:BatchUpdatePartition"),
    (
        "kms:Decrypt",
        "by nothing here: the local AWS asks for no permission to use a key",
    ),
    ("kms:GenerateDataKey", "as kms:Decrypt"),
    ("lambda:GetLayerVersion", "by the boots"),
    ("logs:CreateLogGroup", "by the boots"),
    ("logs:CreateLogStream", "by the boots"),
    ("logs:PutLogEvents", "by the boots"),
    (
        "ssm:UpdateInstanceInformation",
        "Session Manager, which nothing here is",
    ),
    ("ssmmessages:CreateControlChannel", "Session Manager"),
    ("ssmmessages:CreateDataChannel", "Session Manager"),
    ("ssmmessages:OpenControlChannel", "Session Manager"),
    ("ssmmessages:OpenDataChannel", "Session Manager"),
];

/// Curates every hour.
const CURATE: &[&str] = &[
    "curate",
    "--from=2020-01-01",
    "--to=2100-01-01",
    "--through=2100-01-01",
];

/// Each action of the consumer's role, the command that needs it, and its message without
/// it.
const NEEDED: [(&str, &[&str], &str); 10] = [
    (
        "ssm:GetParameter",
        &["check"],
        "ssm:/ticklake/tick-consumer: cannot read the parameter: AccessDenied",
    ),
    (
        "secretsmanager:GetSecretValue",
        &["check"],
        "kafka.secret: cannot read ",
    ),
    (
        "s3:ListBucket",
        &["check"],
        "access to bucket \"ticklake-lake\" is denied",
    ),
    (
        "s3:GetObject",
        &["verify"],
        "GET s3://ticklake-lake/_retention/",
    ),
    ("s3:PutObject", &["check"], "PUT s3://ticklake-lake/_probe/"),
    (
        "sqs:SendMessage",
        &["reconcile", "--since", "1h"],
        "cannot send to ",
    ),
    (
        "glue:GetPartitions",
        &["verify", "--curated"],
        "GetPartitions ticklake.curated_ticks: ",
    ),
    (
        "glue:BatchGetPartition",
        CURATE,
        "BatchGetPartition ticklake.curated_ticks: ",
    ),
    ("glue:GetTable", CURATE, "GetTable ticklake.curated_ticks: "),
    (
        "glue:BatchCreatePartition",
        CURATE,
        "BatchCreatePartition ticklake.curated_ticks: ",
    ),
];

struct Operator<'a> {
    work: &'a Workspace,
    kafka: Kafka,
    secret: String,
    controls: Controls,
}

#[tokio::test(flavor = "multi_thread")]
async fn secured_kafka_roles_reconcile_update_delete() -> Result<()> {
    Workspace::run("operator", life_of_a_stack).await
}

async fn life_of_a_stack(work: &Workspace) -> Result<()> {
    let mut ministack = work.ministack().await?;
    deployer::appoint(&mut ministack, work)
        .await
        .context("docs/deployer-policy")?;
    let kafka = Kafka::start(KafkaKind::ApacheSecured, work).await?;
    kafka.create_topic(TOPIC.0, TOPIC.1).await?;
    let secured = kafka.secured().context("the broker is not secured")?;
    let login = json!({"username": secured.user, "password": secured.password}).to_string();
    let secret = ministack
        .aws
        .call(
            "secretsmanager",
            "create_secret",
            &json!({"Name": "ticklake/kafka", "SecretString": login}),
        )
        .await?;
    let secret = secret["ARN"]
        .as_str()
        .context("the secret has no ARN")?
        .to_owned();
    let controls = Controls::create(&ministack.aws).await?;
    let operator = Operator {
        work,
        kafka,
        secret,
        controls,
    };
    let stack = operator.deploy(ministack, &[], "2s").await?;
    operator
        .controls
        .are_seen(&stack)
        .await
        .context("key and tag of the operator's own")?;
    operator
        .connections(&stack)
        .await
        .context("connections to Kafka")?;
    operator
        .dropped_events(&stack)
        .await
        .context("events dropped and reconciled")?;
    aws_check::check(&stack, work)
        .await
        .context("cargo xtask aws-check")?;
    operator
        .permissions(&stack)
        .await
        .context("roles of the agents")?;
    let stack = operator
        .update(stack)
        .await
        .context("a changed parameter")?;
    operator
        .delete_and_take_over(stack)
        .await
        .context("deleted and taken over")
}

impl Operator<'_> {
    async fn deploy(&self, ministack: Ministack, more: &[&str], max_age: &str) -> Result<Stack> {
        let (secret, max_age) = (
            format!("KafkaSecretArn={}", self.secret),
            format!("BatchMaxAge={max_age}"),
        );
        let own = [
            "KafkaSecurity=scram",
            &secret,
            &max_age,
            "RawDataDays=30",
            "Producer=synthetic",
        ];
        let parameters = Parameters {
            kafka: self
                .kafka
                .secured()
                .context("the broker is not secured")?
                .scram
                .clone(),
            more: own
                .iter()
                .chain(more)
                .map(ToString::to_string)
                .chain(self.controls.parameters())
                .collect(),
            ..sample::parameters()
        };
        self.work.deploy(ministack, parameters).await
    }

    /// Returns an agent as its unit starts it, with the credentials of its instance's
    /// role.
    async fn agent(&self, stack: &Stack, name: &str, arguments: &[&str]) -> Result<Command> {
        let role = if name == "tick-consumer" {
            "ConsumerRoleName"
        } else {
            "ProducerRoleName"
        };
        let role = Role::read(&stack.ministack.aws, stack.deployment.output(role)?).await?;
        let mut command = Command::new(self.work.repository.binary(name));
        command
            .env_clear()
            .envs(role.environment(&stack.ministack.aws).await?)
            .current_dir(&self.work.folder);
        command
            .args(["--config", &format!("ssm:/ticklake/{name}")])
            .args(arguments);
        // The broker's certificate is signed by nobody that the system knows; ports are
        // to be free ones.
        let ca_file = &self
            .kafka
            .secured()
            .context("the broker is not secured")?
            .ca_file;
        command.env(
            format!("{}_KAFKA__CA_FILE", name.replace('-', "_").to_uppercase()),
            ca_file,
        );
        command.env("TICK_CONSUMER_HTTP__LISTEN", "127.0.0.1:0");
        Ok(command)
    }

    /// Expects a command to fail, and to say so.
    async fn refused(&self, mut command: Command, name: &str, wanted: &str) -> Result<()> {
        let log = self.work.log(name);
        let process = self.work.processes.start(name, &mut command, &log).await?;
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        let heard = local::wait_until(wanted, EFFECT_TIMEOUT, || async {
            Ok(said().contains(wanted))
        })
        .await;
        let status = self
            .work
            .processes
            .stop(process, Duration::from_secs(10))
            .await?;
        heard.with_context(|| format!("{name} said: {}", said()))?;
        ensure!(!status.success(), "{name} succeeded");
        Ok(())
    }

    async fn produce(&self, stack: &Stack) -> Result<()> {
        let mut producer = self
            .agent(
                stack,
                "tick-producer",
                &["--rows", &TICKS.to_string(), "--rate", "100000"],
            )
            .await?;
        self.work.execute("produce", &mut producer).await.map(drop)
    }

    async fn consume(&self, stack: &Stack, name: &str) -> Result<ProcessId> {
        let mut consumer = self.agent(stack, "tick-consumer", &[]).await?;
        self.work
            .processes
            .start("tick-consumer", &mut consumer, &self.work.log(name))
            .await
    }

    /// TLS and SCRAM against a real broker; errors name the fault.
    async fn connections(&self, stack: &Stack) -> Result<()> {
        let secured = self.kafka.secured().context("the broker is not secured")?;
        let mut scram = self.agent(stack, "tick-consumer", &["check"]).await?;
        self.work.execute("scram", &mut scram).await?;
        let plain = |security: &str| {
            let mut command = Command::new(self.work.repository.binary("tick-consumer"));
            command
                .env_clear()
                .envs(stack.ministack.aws.environment())
                .current_dir(&self.work.folder);
            command
                .env("TICK_CONSUMER_KAFKA__SECURITY", security)
                .env("TICK_CONSUMER_KAFKA__CA_FILE", &secured.ca_file);
            command.args(["check", "--bucket", "ticklake-lake"]);
            command
        };
        let mut tls = plain("tls");
        tls.args(["--brokers", &secured.tls]);
        self.work.execute("tls", &mut tls).await?;
        let mut unknown = plain("tls");
        unknown
            .args(["--brokers", &secured.tls])
            .env_remove("TICK_CONSUMER_KAFKA__CA_FILE");
        self.refused(unknown, "unknown-certificate", "certificate verify failed")
            .await?;
        // Only MSK can take the token. Another broker shows that it came, before any
        // other call: by refusing it.
        let mut msk = plain("msk-iam");
        msk.args(["--brokers", &secured.scram]);
        self.refused(msk, "msk-iam", "invalid_token").await?;
        let guess = r#"{"username":"ticklake","password":"guess"}"#;
        let wrong = json!({"Name": "ticklake/wrong", "SecretString": guess});
        stack
            .ministack
            .aws
            .call("secretsmanager", "create_secret", &wrong)
            .await?;
        let mut wrong = plain("scram");
        wrong
            .args(["--brokers", &secured.scram])
            .env("TICK_CONSUMER_KAFKA__SECRET", "ticklake/wrong");
        self.refused(
            wrong,
            "wrong-password",
            "Authentication failed during authentication due to invalid credentials",
        )
        .await
    }

    /// Both rules are off while objects land: nothing is crawled or announced, until
    /// `reconcile` sends their events.
    async fn dropped_events(&self, stack: &Stack) -> Result<()> {
        let (aws, bucket) = (&stack.ministack.aws, stack.deployment.output("LakeBucket")?);
        let rules = aws
            .call("events", "list_rules", &json!({"NamePrefix": "ticklake-"}))
            .await?;
        let names: Vec<Value> = rules["Rules"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|rule| json!({"Name": rule["Name"]}))
            .collect();
        ensure!(names.len() >= 2, "the rules are {rules}");
        for name in &names {
            aws.call("events", "disable_rule", name).await?;
        }
        let consumer = self.consume(stack, "consumer").await?;
        self.produce(stack).await?;
        let mut lake = LakeContents::default();
        all_landed(
            &mut lake,
            aws,
            bucket,
            TICKS,
            &self.work.processes,
            consumer,
        )
        .await?;
        let stopped = self
            .work
            .processes
            .stop(consumer, Duration::from_secs(20))
            .await?;
        ensure!(stopped.success(), "the consumer ended with {stopped}");
        tokio::time::sleep(Duration::from_secs(3)).await;
        ensure!(
            stack.mailbox.mails().is_empty() && stack.crawls.crawls() == 0,
            "events came through rules that are off"
        );
        for name in &names {
            aws.call("events", "enable_rule", name).await?;
        }
        // Had it anything to send, it would fail.
        let role = Role::read(aws, stack.deployment.output("ConsumerRoleName")?).await?;
        role.without("sqs:SendMessage").await?;
        let mut nothing = self
            .agent(
                stack,
                "tick-consumer",
                &["reconcile", "--since", "1h", "--dry-run"],
            )
            .await?;
        self.work.execute("dry-run", &mut nothing).await?;
        role.restore().await?;
        let mut reconcile = self
            .agent(stack, "tick-consumer", &["reconcile", "--since", "1h"])
            .await?;
        self.work.execute("reconcile", &mut reconcile).await?;
        all_crawled(&lake, aws, &stack.deployment).await?;
        all_announced(&lake, bucket, &stack.mailbox).await?;
        Ok(())
    }

    /// Takes each action from the agents' roles in turn.
    async fn permissions(&self, stack: &Stack) -> Result<()> {
        for (output, agent) in [
            ("ConsumerRoleName", "tick-consumer"),
            ("ProducerRoleName", "tick-producer"),
        ] {
            let role = Role::read(&stack.ministack.aws, stack.deployment.output(output)?).await?;
            expect_known(&role, |action| {
                NEEDED.iter().any(|(needed, ..)| *needed == action)
                    || TRIED_ELSEWHERE
                        .iter()
                        .any(|(elsewhere, _)| *elsewhere == action)
            })?;
            for (action, arguments, said) in NEEDED
                .iter()
                .filter(|(action, ..)| role.actions().iter().any(|allowed| allowed == action))
            {
                let command = self.agent(stack, agent, arguments).await?;
                role.without(action).await?;
                if *action == "s3:PutObject" {
                    self.produce(stack).await?;
                }
                let said = said.replace("tick-consumer", agent);
                self.refused(command, &format!("{agent}-without-{action}"), &said)
                    .await
                    .with_context(|| format!("without {action}"))?;
                role.restore().await?;
                println!("     {agent} without {action}: {said}");
            }
        }
        Ok(())
    }

    /// A changed parameter reaches the settings, and replaces instances.
    async fn update(&self, stack: Stack) -> Result<Stack> {
        let template = stack.deployment.output("ConsumerTemplateId")?.to_owned();
        let stack = self.deploy(stack.ministack, &[], "5s").await?;
        let aws = &stack.ministack.aws;
        let parameter = aws
            .call(
                "ssm",
                "get_parameter",
                &json!({"Name": "/ticklake/tick-consumer"}),
            )
            .await?;
        let settings: Value =
            serde_json::from_str(parameter["Parameter"]["Value"].as_str().unwrap_or_default())?;
        ensure!(
            settings["batch"]["max_age"] == "5s" && settings["lake"]["retention_days"] == 30,
            "the settings are {settings}"
        );
        let groups = aws
            .call("autoscaling", "describe_auto_scaling_groups", &json!({}))
            .await?;
        let groups = groups["AutoScalingGroups"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let launches = groups
            .iter()
            .map(|group| &group["LaunchTemplate"])
            .find(|launch| launch["LaunchTemplateId"] == template.as_str());
        ensure!(
            launches.is_some_and(|launch| launch["Version"] == "2"),
            "the consumers' groups are {groups:?}"
        );
        Ok(stack)
    }

    /// `sam delete` leaves the bucket with all its objects; a new stack takes it over,
    /// and landing goes on from there.
    async fn delete_and_take_over(&self, stack: Stack) -> Result<()> {
        let Stack {
            ministack,
            crawls,
            mailbox,
            ..
        } = stack;
        drop((crawls, mailbox));
        let mut delete = sam_command(self.work);
        delete
            .args([
                "delete",
                "--stack-name",
                "ticklake",
                "--no-prompts",
                "--region",
                REGION,
            ])
            .envs(ministack.deployer.environment());
        self.work.execute("sam-delete", &mut delete).await?;
        if let Ok(parameter) = ministack
            .aws
            .call(
                "ssm",
                "get_parameter",
                &json!({"Name": "/ticklake/tick-consumer"}),
            )
            .await
        {
            bail!("the stack is deleted, and its settings are there: {parameter}");
        }
        let mut left = LakeContents::default();
        left.refresh(&ministack.aws, "ticklake-lake").await?;
        ensure!(
            left.rows("ticks/") >= TICKS,
            "the bucket has {} rows left",
            left.rows("ticks/")
        );
        let stack = self
            .deploy(ministack, &["ExistingBucket=ticklake-lake"], "2s")
            .await?;
        ensure!(
            stack.deployment.output("LakeBucket")? == "ticklake-lake",
            "the stack has another bucket"
        );
        let consumer = self.consume(&stack, "consumer-after").await?;
        self.produce(&stack).await?;
        let mut lake = LakeContents::default();
        // Those that were produced while nobody could write are landed, too.
        all_landed(
            &mut lake,
            &stack.ministack.aws,
            "ticklake-lake",
            3 * TICKS,
            &self.work.processes,
            consumer,
        )
        .await?;
        self.work
            .processes
            .stop(consumer, Duration::from_secs(20))
            .await?;
        let mut verify = self
            .agent(&stack, "tick-consumer", &["verify", "--deep"])
            .await?;
        let whole = self.work.execute("verify", &mut verify).await?;
        ensure!(
            whole.contains("whole: every offset is accounted for exactly once"),
            "{whole}"
        );
        // The new objects' events come through the rules of the new stack.
        all_crawled(&lake, &stack.ministack.aws, &stack.deployment)
            .await
            .map(|_| ())
    }
}
