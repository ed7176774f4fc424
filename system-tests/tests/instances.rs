//! The agents on EC2: the user data as it is deployed really boots, in a root and
//! namespaces of its own, with the instance's role.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use local::sample::{self, TOPIC};
use local::{
    Hardware, Imds, Instance, InstanceImage, Kafka, KafkaKind, LakeContents, Parameters, Role,
    Stack, wait_until,
};
use serde_json::json;
use system_tests::{Workspace, latest_user_data, ready, says, shellcheck, signal, verify_unit};
use tokio::process::Command;

/// How long a boot may take.
const BOOT: Duration = Duration::from_secs(120);

/// A stack whose agents are booted.
struct Fleet<'a> {
    work: &'a Workspace,
    stack: Stack,
    _kafka: Kafka,
}

impl<'a> Fleet<'a> {
    /// Deploys the template with agents.
    async fn deploy(work: &'a Workspace) -> Result<Self> {
        let ministack = work.ministack().await?;
        let kafka = Kafka::start(KafkaKind::Mock, work).await?;
        kafka.create_topic(TOPIC.0, TOPIC.1).await?;
        let parameters = Parameters {
            kafka: kafka.brokers().to_owned(),
            more: ["Producer=synthetic", "BatchMaxAge=2s"]
                .map(String::from)
                .to_vec(),
            ..sample::parameters()
        };
        let stack = work.deploy(ministack, parameters).await?;
        Ok(Self {
            work,
            stack,
            _kafka: kafka,
        })
    }

    async fn user_data(&self, output: &str) -> Result<String> {
        latest_user_data(
            &self.stack.ministack.aws,
            self.stack.deployment.output(output)?,
        )
        .await
    }

    /// Boots an instance in a role.
    async fn boot(
        &self,
        image: &InstanceImage,
        name: &str,
        role: &Role,
        user_data: &str,
        patience: &str,
    ) -> Result<Booted> {
        let aws = &self.stack.ministack.aws;
        let imds = Imds::start(aws, &format!("i-{name}"), role.name()).await?;
        let folder = self.work.folder.join(name);
        let environment = [
            ("AWS_ENDPOINT_URL", aws.endpoint().to_owned()),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.url().to_owned()),
            // The network is this machine's, and its ports are to be free ones.
            ("TICK_CONSUMER_HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("PATIENCE", patience.to_owned()),
        ];
        let instance = image
            .boot(
                &self.work.processes,
                &folder,
                user_data,
                &environment,
                Hardware::default(),
            )
            .await?;
        Ok(Booted {
            instance,
            folder,
            _imds: imds,
        })
    }

    async fn role(&self, output: &str) -> Result<Role> {
        Role::read(
            &self.stack.ministack.aws,
            self.stack.deployment.output(output)?,
        )
        .await
    }
}

/// An instance and its surroundings.
struct Booted {
    instance: Instance,
    folder: PathBuf,
    _imds: Imds,
}

impl Booted {
    /// Waits until the boot has signalled its outcome to CloudFormation.
    async fn signal(&self) -> Result<String> {
        signal(&self.instance)
            .await
            .with_context(|| format!("logs in {}", self.folder.join("upper/var/log").display()))
    }
}

/// Boots consumer and producer, until ticks land; switches them off, and the lake is
/// whole. Then the boots that fail, and their messages.
#[tokio::test(flavor = "multi_thread")]
async fn agents_boot_from_the_deployed_user_data() -> Result<()> {
    Workspace::run("instances", boots).await
}

async fn boots(work: &Workspace) -> Result<()> {
    let image = work.instance_image().await?;
    let fleet = Fleet::deploy(work).await?;
    let (consumer, producer) = (
        fleet.user_data("ConsumerTemplateId").await?,
        fleet.user_data("ProducerTemplateId").await?,
    );
    for (name, text) in [("consumer", &consumer), ("producer", &producer)] {
        shellcheck(work, name, text).await?;
    }
    ticks_land(&fleet, &image, &consumer, &producer)
        .await
        .context("boot to lake")?;
    failures(&fleet, &image, &consumer)
        .await
        .context("boots that fail")
}

async fn ticks_land(
    fleet: &Fleet<'_>,
    image: &InstanceImage,
    consumer: &str,
    producer: &str,
) -> Result<()> {
    let (consumer_role, producer_role) = (
        fleet.role("ConsumerRoleName").await?,
        fleet.role("ProducerRoleName").await?,
    );
    let consumer = fleet
        .boot(image, "consumer", &consumer_role, consumer, "60")
        .await?;
    let producer = fleet
        .boot(image, "producer", &producer_role, producer, "60")
        .await?;
    ready(&consumer.instance).await.context("consumer")?;
    ready(&producer.instance).await.context("producer")?;
    for (booted, unit) in [
        (&consumer, "tick-consumer.service"),
        (&producer, "tick-producer.service"),
    ] {
        verify_unit(&booted.instance, unit).await?;
    }
    let bucket = fleet.stack.deployment.output("LakeBucket")?;
    let aws = &fleet.stack.ministack.aws;
    wait_until("ticks in the lake", Duration::from_secs(30), || async {
        let mut lake = LakeContents::default();
        lake.refresh(aws, bucket).await?;
        Ok(lake.rows("ticks/") > 300)
    })
    .await?;
    producer.instance.switch_off().await.context("producer")?;
    consumer.instance.switch_off().await.context("consumer")?;
    let log = std::fs::read_to_string(
        consumer
            .folder
            .join("upper/var/log/ticklake/tick-consumer.log"),
    )?;
    ensure!(
        log.contains("\"event\":\"leaving_group\""),
        "the consumer did not leave its group: {log}"
    );
    let mut verify = Command::new(fleet.work.repository.binary("tick-consumer"));
    verify
        .args(["--config", "ssm:/ticklake/tick-consumer", "verify"])
        .envs(consumer_role.environment(aws).await?);
    fleet.work.execute("verify", &mut verify).await.map(drop)
}

/// A boot that fails tells CloudFormation, and says why in a log group that no rollback
/// takes.
async fn failures(fleet: &Fleet<'_>, image: &InstanceImage, user_data: &str) -> Result<()> {
    let role = fleet.role("ConsumerRoleName").await?;
    let aws = &fleet.stack.ministack.aws;
    // A role's permissions may come after the instance.
    role.without("lambda:GetLayerVersion").await?;
    let booted = fleet.boot(image, "early", &role, user_data, "60").await?;
    says(
        &booted.instance,
        "/var/log/cloud-init-output.log",
        "cannot fetch the layer, attempt 1 of 5",
        BOOT,
    )
    .await?;
    role.restore().await?;
    ready(&booted.instance)
        .await
        .context("a boot before its role")?;
    booted.instance.switch_off().await?;
    let value = r#"{"kafka":{"brokers":"b","tpoic":"ticks"}}"#;
    let wrong = json!({"Name": "/ticklake/tick-consumer", "Value": value, "Overwrite": true});
    aws.call("ssm", "put_parameter", &wrong).await?;
    let told = async |stream: &str| {
        let query = json!({"logGroupName": "/ticklake/failed-boots", "logStreamName": stream});
        aws.call("logs", "get_log_events", &query)
            .await
            .map(|answer| answer["events"].to_string())
    };
    // The group is made by the first boot that may.
    let denied = [
        "logs:CreateLogGroup",
        "nothing",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    ];
    for (number, action) in denied.into_iter().enumerate() {
        if action != "nothing" {
            role.without(action).await?;
        }
        let name = format!("bad-config-{number}");
        let booted = fleet.boot(image, &name, &role, user_data, "8").await?;
        let signal = booted.signal().await?;
        ensure!(
            signal.contains("--success false"),
            "bad configuration: {signal}"
        );
        let log = booted.instance.read("/var/log/ticklake/boot.log").await?;
        ensure!(
            log.contains("boot failed: tick-consumer.service is not ready after 8 s"),
            "bad configuration: {log}"
        );
        let told = told(&format!("i-{name}")).await;
        let says_why = told.as_ref().is_ok_and(|events| {
            events.contains("ssm:/ticklake/tick-consumer: kafka.tpoic: unknown field `tpoic`")
        });
        ensure!(
            says_why == (action == "nothing"),
            "without {action} the log group of failed boots says {told:?}"
        );
        role.restore().await?;
    }
    role.without("lambda:GetLayerVersion").await?;
    let booted = fleet.boot(image, "no-layer", &role, user_data, "8").await?;
    let signal = booted.signal().await?;
    ensure!(
        signal.contains("--success false"),
        "without the layer: {signal}"
    );
    // Its name in the image.
    let told = told("ticklake").await?;
    ensure!(
        told.contains("cannot fetch the layer"),
        "without the layer the log group of failed boots says {told}"
    );
    role.restore().await
}
