//! The stack's own Kafka: a broker boots from the user data of the template, on a volume
//! of its own, and another takes its place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use local::{
    Deployment, Hardware, Imds, Instance, InstanceImage, LOCAL_PARAMETERS, Ministack, Network,
    Role, sam_command, wait_until,
};
use serde_json::json;
use system_tests::{
    Workspace, expect_known, latest_user_data, ready, says, shellcheck, signal, verify_unit,
};
use tokio::process::Command;

/// Limit of each wait: for a broker's interface and volume, its topic, and a record.
const WAIT_TIMEOUT: Duration = Duration::from_secs(180);
/// Size of the volume, in bytes; a sparse file.
const VOLUME_BYTES: u64 = 2 << 30;

/// Each action of a broker's role without which it does not come up, and its message
/// then.
const NEEDED: [(&str, &str); 4] = [
    ("ec2:DescribeNetworkInterfaces", "DescribeNetworkInterfaces"),
    ("ec2:AttachNetworkInterface", "AttachNetworkInterface"),
    ("ec2:DescribeVolumes", "DescribeVolumes"),
    ("ec2:AttachVolume", "AttachVolume"),
];
/// Actions that the boots of the agents and of the first broker show, and those of the
/// CloudWatch agent and Session Manager.
const TRIED_ELSEWHERE: [&str; 11] = [
    "lambda:GetLayerVersion",
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "cloudwatch:PutMetricData",
    "ssm:GetParameter",
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
];

/// A file as a block device.
struct Loop(PathBuf);

impl Loop {
    async fn of(file: &Path) -> Result<Self> {
        let made = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(file)
            .output()
            .await
            .context("losetup")?;
        ensure!(
            made.status.success(),
            "losetup: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        Ok(Self(PathBuf::from(String::from_utf8(made.stdout)?.trim())))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // An instance that is gone is the aim.
        let _ = std::process::Command::new("losetup")
            .arg("--detach")
            .arg(&self.0)
            .output();
    }
}

struct Cluster<'a> {
    work: &'a Workspace,
    image: InstanceImage,
    ministack: Ministack,
    role: Role,
    volume: String,
    interface: String,
    address: String,
    disk: Loop,
    user_data: String,
}

struct Broker {
    instance: Instance,
    folder: PathBuf,
    network: Network,
    _imds: Imds,
}

impl Broker {
    /// Runs one of Kafka's tools against this broker.
    async fn kafka(&self, command: &str) -> Result<String> {
        let line =
            format!("{command} --bootstrap-server kafka-1.ticklake.internal:9092 --topic ticks");
        self.instance
            .run(&[
                "bash",
                "-c",
                &line.replace("kafka ", "java -cp '/opt/ticklake/lib/*' "),
            ])
            .await
    }

    /// Waits until the record that was sent can be read.
    async fn keeps_the_record(&self) -> Result<()> {
        let read = "kafka org.apache.kafka.tools.consumer.ConsoleConsumer --from-beginning \
                    --max-messages 1 --timeout-ms 10000";
        wait_until("the record", WAIT_TIMEOUT, || async {
            Ok(self
                .kafka(read)
                .await
                .is_ok_and(|said| said.contains("kept")))
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_of_the_stacks_own_boots_and_is_replaced() -> Result<()> {
    Workspace::run("broker", scenarios).await
}

async fn scenarios(work: &Workspace) -> Result<()> {
    let image = work.instance_image().await?;
    let ministack = work.ministack().await?;
    let tag = json!({"Key": "ticklake:stack", "Value": "ticklake"});
    let tags = json!([{"ResourceType": "volume", "Tags": [tag]}]);
    let volume = json!({"AvailabilityZone": "us-east-1a", "Size": 10, "TagSpecifications": tags});
    let volume = ministack.aws.call("ec2", "create_volume", &volume).await?;
    let volume = volume["VolumeId"].as_str().context("no volume")?.to_owned();
    let interface = ministack
        .aws
        .call(
            "ec2",
            "create_network_interface",
            &json!({"SubnetId": "subnet-1"}),
        )
        .await?;
    let fact = |name: &str| {
        interface["NetworkInterface"][name]
            .as_str()
            .map(str::to_owned)
            .context("no network interface")
    };
    let (interface, address) = (fact("NetworkInterfaceId")?, fact("PrivateIpAddress")?);
    let given = json!({
        "KafkaVolume1": volume,
        "KafkaInterface1": interface,
        "KafkaInterface1.PrimaryPrivateIpAddress": address,
    })
    .to_string();
    let deployment = deploy(work, &ministack, &given).await?;
    let role = Role::read(&ministack.aws, deployment.output("KafkaRoleName")?).await?;
    role.grant_what_is_misjudged().await?;
    let user_data = latest_user_data(&ministack.aws, deployment.output("KafkaTemplateId")?).await?;
    shellcheck(work, "broker", &user_data).await?;
    let file = work.folder.join("volume.img");
    std::fs::File::create(&file)?.set_len(VOLUME_BYTES)?;
    let disk = Loop::of(&file).await?;
    let mut cluster = Cluster {
        work,
        image,
        ministack,
        role,
        volume,
        interface,
        address,
        disk,
        user_data,
    };
    cluster.permissions().await.context("the brokers' role")?;
    cluster.boots_and_is_replaced().await?;
    cluster
        .begins_with_a_snapshot()
        .await
        .context("a volume made from a snapshot")
}

/// Deploys the template with a broker of its own, as far as the local AWS takes it.
async fn deploy(work: &Workspace, ministack: &Ministack, given: &str) -> Result<Deployment> {
    let built = work.repository.path(".aws-sam/build");
    let template = built.join("brokers.json");
    let mut make = Command::new(work.tools.path("python"));
    make.arg(work.repository.path("local/broker_template.py"))
        .arg(built.join("template.yaml"))
        .arg(given)
        .arg(&template);
    work.execute("template", &mut make).await?;
    let mut deploy = sam_command(work);
    deploy
        .args([
            "deploy",
            "--stack-name",
            "ticklake",
            "--no-progressbar",
            "--template-file",
        ])
        .arg(&template);
    deploy
        .arg("--config-file")
        .arg(work.repository.path("samconfig.toml"));
    deploy
        .args(["--parameter-overrides", "Consumers=0"])
        .args(LOCAL_PARAMETERS)
        .envs(ministack.aws.environment());
    work.execute("sam-deploy", &mut deploy).await?;
    Deployment::find(&ministack.aws).await
}

impl Cluster<'_> {
    fn hardware<'a>(
        &'a self,
        network: &'a Network,
        files: &'a [(&'a str, String)],
    ) -> Hardware<'a> {
        Hardware {
            network: Some(network.name()),
            volume: Some(&self.disk.0),
            files,
        }
    }

    async fn boot(&self, name: &str) -> Result<Broker> {
        let aws = &self.ministack.aws;
        let launched = json!({"ImageId": "ami-0123456789abcdef0", "MinCount": 1, "MaxCount": 1});
        let launched = aws.call("ec2", "run_instances", &launched).await?;
        let id = launched["Instances"][0]["InstanceId"]
            .as_str()
            .context("no instance")?;
        let imds = Imds::start(aws, id, self.role.name()).await?;
        let services = [aws.endpoint(), imds.url().trim_end_matches('/')]
            .map(|url| url.trim_start_matches("http://").to_owned());
        let network = Network::start(&services.each_ref().map(String::as_str)).await?;
        let port = aws
            .endpoint()
            .rsplit(':')
            .next()
            .context("an endpoint without a port")?;
        let way = |service| network.way_to(service).context("no way to a service");
        let forward = format!(
            "[Service]\nExecStart=/usr/local/bin/forward {port} {}\n",
            way(0)?
        );
        let environment = [
            ("AWS_ENDPOINT_URL", aws.endpoint().to_owned()),
            (
                "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                format!("http://{}/", way(1)?),
            ),
        ];
        // In place of Route 53's resolver: the name has the interface's address.
        let hosts = format!(
            "127.0.0.1 localhost ticklake\n{} kafka-1.ticklake.internal\n\
             192.0.2.1 kafka-2.ticklake.internal kafka-3.ticklake.internal\n",
            self.address
        );
        let files = [
            ("/etc/systemd/system/forward.service", forward),
            ("/etc/hosts", hosts),
        ];
        let (hardware, folder) = (self.hardware(&network, &files), self.work.folder.join(name));
        let instance = self
            .image
            .boot(
                &self.work.processes,
                &folder,
                &self.user_data,
                &environment,
                hardware,
            )
            .await?;
        self.hardware_appears(&instance, &network).await?;
        Ok(Broker {
            instance,
            folder,
            network,
            _imds: imds,
        })
    }

    async fn volume_is_attached(&self) -> Result<bool> {
        let volumes = self
            .ministack
            .aws
            .call(
                "ec2",
                "describe_volumes",
                &json!({"VolumeIds": [self.volume]}),
            )
            .await?;
        Ok(volumes["Volumes"][0]["State"] == "in-use")
    }

    /// Returns the id of the interface's attachment, if it has one.
    async fn attachment(&self) -> Result<Option<String>> {
        let interface = json!({"NetworkInterfaceIds": [self.interface]});
        let interfaces = self
            .ministack
            .aws
            .call("ec2", "describe_network_interfaces", &interface)
            .await?;
        Ok(
            interfaces["NetworkInterfaces"][0]["Attachment"]["AttachmentId"]
                .as_str()
                .map(str::to_owned),
        )
    }

    /// In place of udev on a Nitro instance, and of Amazon Linux's network scripts: a
    /// while after an interface is attached, it has its address, and a while after a
    /// volume is, its device has the volume's name.
    async fn hardware_appears(&self, instance: &Instance, network: &Network) -> Result<()> {
        let has_failed = async || {
            Ok::<_, anyhow::Error>(
                !instance
                    .read("/var/log/ticklake/cfn-signal")
                    .await?
                    .is_empty(),
            )
        };
        wait_until(
            "the interface is attached, or the boot has failed",
            WAIT_TIMEOUT,
            || async { Ok(self.attachment().await?.is_some() || has_failed().await?) },
        )
        .await?;
        network.add_address(&self.address).await?;
        wait_until(
            "the volume is attached, or the boot has failed",
            WAIT_TIMEOUT,
            || async { Ok(self.volume_is_attached().await? || has_failed().await?) },
        )
        .await?;
        let name = format!(
            "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{}",
            self.volume.replacen('-', "", 1)
        );
        instance
            .run(&["ln", "-s", "../../nvme1n1", &name])
            .await
            .map(drop)
    }

    /// Switches a broker off and on, as `aws ec2 reboot-instances` does.
    async fn reboot(&self, broker: &mut Broker) -> Result<()> {
        broker.instance.switch_off().await?;
        broker.instance = self
            .image
            .start(
                &self.work.processes,
                &broker.folder,
                self.hardware(&broker.network, &[]),
            )
            .await?;
        Ok(())
    }

    async fn switch_off(&self, broker: &Broker) -> Result<()> {
        broker.instance.switch_off().await?;
        // EC2 does so when an instance ends.
        if self.volume_is_attached().await? {
            self.ministack
                .aws
                .call("ec2", "detach_volume", &json!({"VolumeId": self.volume}))
                .await?;
        }
        if let Some(attachment) = self.attachment().await? {
            self.ministack
                .aws
                .call(
                    "ec2",
                    "detach_network_interface",
                    &json!({"AttachmentId": attachment}),
                )
                .await?;
        }
        Ok(())
    }

    async fn permissions(&self) -> Result<()> {
        expect_known(&self.role, |action| {
            NEEDED.iter().any(|(needed, _)| *needed == action) || TRIED_ELSEWHERE.contains(&action)
        })?;
        for (action, said) in NEEDED {
            self.role.without(action).await?;
            let broker = self
                .boot(&format!("without-{}", said.to_lowercase()))
                .await?;
            let signal = signal(&broker.instance)
                .await
                .with_context(|| format!("without {action}"))?;
            let log = broker.instance.read("/var/log/ticklake/boot.log").await?;
            ensure!(
                signal.contains("--success false") && log.contains(said),
                "without {action}: {signal}{log}"
            );
            self.role.restore().await?;
            self.switch_off(&broker).await?;
            println!("     broker without {action}: {}", signal.trim());
        }
        Ok(())
    }

    /// A new broker formats its volume and creates the topic. After a reboot it has both,
    /// and so has the one that takes its place.
    async fn boots_and_is_replaced(&self) -> Result<()> {
        self.role.without("ssm:GetParameter").await?;
        let mut first = self.boot("first").await?;
        ready(&first.instance).await.context("first broker")?;
        let topic_log = "/var/log/ticklake/kafka-topic.log";
        let refused = "not authorized to perform: ssm:GetParameter";
        says(&first.instance, topic_log, refused, WAIT_TIMEOUT).await?;
        self.role.restore().await?;
        for unit in [
            "kafka.service",
            "ticklake-topic.service",
            "ticklake-topic.timer",
            "ticklake-replication.service",
            "ticklake-replication.timer",
        ] {
            verify_unit(&first.instance, unit).await?;
        }
        let configured = "Completed updating config for topic ticks";
        says(&first.instance, topic_log, configured, WAIT_TIMEOUT).await?;
        self.follows_its_parameter(&first)
            .await
            .context("another parameter of the topic")?;
        // Its timer runs with three brokers alone; one has no other copies.
        let replication = ["systemctl", "start", "ticklake-replication.service"];
        self.role.without("cloudwatch:PutMetricData").await?;
        ensure!(
            first.instance.run(&replication).await.is_err(),
            "a broker sends metrics without cloudwatch:PutMetricData"
        );
        self.role.restore().await?;
        first.instance.run(&replication).await?;
        let metrics = json!({"Namespace": "ticklake", "MetricName": "UnderReplicatedPartitions"});
        let metrics = self
            .ministack
            .aws
            .call("cloudwatch", "list_metrics", &metrics)
            .await?;
        ensure!(
            metrics["Metrics"][0]["Dimensions"] == json!([{"Name": "stack", "Value": "ticklake"}]),
            "the metrics are {metrics}"
        );
        first
            .kafka("echo kept | kafka org.apache.kafka.tools.ConsoleProducer")
            .await
            .context("a record")?;
        self.reboot(&mut first).await?;
        first.keeps_the_record().await.context("after a reboot")?;
        self.take_snapshot(&first).await.context("a snapshot")?;
        self.switch_off(&first).await?;
        drop(first);
        let kafka = first_log(&self.work.folder.join("first"))?;
        ensure!(
            kafka.contains("shut down completed"),
            "Kafka did not stop cleanly: {}",
            kafka.lines().last().unwrap_or_default()
        );
        let second = self.boot("second").await?;
        ready(&second.instance).await.context("second broker")?;
        let log = second.instance.read("/var/log/ticklake/boot.log").await?;
        ensure!(
            !log.contains("Formatting metadata directory"),
            "the second broker formatted the volume: {log}"
        );
        second
            .keeps_the_record()
            .await
            .context("after another broker took its place")?;
        says(&second.instance, topic_log, configured, WAIT_TIMEOUT).await?;
        let topic = second.instance.read(topic_log).await?;
        ensure!(
            !topic.contains("Created topic"),
            "the topic was created anew: {topic}"
        );
        self.switch_off(&second).await
    }

    fn snapshot(&self) -> PathBuf {
        self.work.folder.join("snapshot.img")
    }

    /// Copies the volume of a broker that runs, as it is at a moment: Kafka has not
    /// closed its log.
    async fn take_snapshot(&self, broker: &Broker) -> Result<()> {
        let freeze = |option| ["fsfreeze", option, "/var/lib/kafka"];
        broker.instance.run(&freeze("--freeze")).await?;
        let copied = Command::new("cp")
            .arg("--sparse=always")
            .args([self.work.folder.join("volume.img"), self.snapshot()])
            .status()
            .await;
        broker.instance.run(&freeze("--unfreeze")).await?;
        ensure!(copied.context("cp")?.success(), "cp failed");
        Ok(())
    }

    /// The first of three brokers of another stack, whose volume was made from a
    /// snapshot, does not wait for those that are launched after it, and formats nothing.
    /// Kafka has the record.
    async fn begins_with_a_snapshot(&mut self) -> Result<()> {
        self.disk = Loop::of(&self.snapshot()).await?;
        let (_, rest) = self
            .user_data
            .split_once(" STACK_ID=")
            .context("the user data have no STACK_ID")?;
        let stack = rest.split_whitespace().next().unwrap_or_default();
        self.user_data = self
            .user_data
            .replace(stack, &format!("{stack}-another"))
            .replace(" NODES=1", " NODES=3");
        let broker = self.boot("from-a-snapshot").await?;
        ready(&broker.instance).await?;
        let log = broker.instance.read("/var/log/ticklake/boot.log").await?;
        ensure!(
            log.contains("broker 1 is ready") && !log.contains("Formatting metadata directory"),
            "the broker formatted the volume: {log}"
        );
        // Nobody else of the three is launched here.
        let alone = "sed -i '/^controller.quorum.voters=/s/,.*//' /etc/ticklake/kafka.properties \
                     && systemctl restart kafka.service";
        broker.instance.run(&["bash", "-c", alone]).await?;
        broker.keeps_the_record().await?;
        self.switch_off(&broker).await
    }

    /// A changed parameter reaches the topic of a broker that runs; the timer is not
    /// waited for.
    async fn follows_its_parameter(&self, broker: &Broker) -> Result<()> {
        let aws = &self.ministack.aws;
        let written = aws
            .call(
                "ssm",
                "get_parameter",
                &json!({"Name": "/ticklake/kafka-topic"}),
            )
            .await?;
        let written = written["Parameter"]["Value"].as_str().context("no value")?;
        let changed = written
            .replace(r#""partitions":12"#, r#""partitions":14"#)
            .replace(r#""retention_hours":72"#, r#""retention_hours":24"#);
        let changed = json!({"Name": "/ticklake/kafka-topic", "Value": changed, "Overwrite": true});
        aws.call("ssm", "put_parameter", &changed).await?;
        broker
            .instance
            .run(&["systemctl", "start", "ticklake-topic.service"])
            .await?;
        let topic = broker
            .kafka("kafka org.apache.kafka.tools.TopicCommand --describe")
            .await?;
        let wanted = [
            "PartitionCount: 14",
            "retention.ms=86400000",
            "message.timestamp.type=LogAppendTime",
        ];
        ensure!(
            wanted.iter().all(|setting| topic.contains(setting)),
            "the topic is {topic}, wanted {wanted:?}"
        );
        Ok(())
    }
}

fn first_log(folder: &Path) -> Result<String> {
    let path = folder.join("upper/var/log/ticklake/kafka.log");
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}
