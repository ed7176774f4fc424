"""Finds deployments that AWS would refuse, or that would break the next one, in the template alone. `cargo xtask test "template"` runs this."""

import json
import pathlib
import re
import subprocess
import tempfile
import unittest

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from evaluated_template import EvaluatedTemplate, listed, references
from translate_template import translate

ROOT = pathlib.Path(__file__).parent.parent
TEMPLATE = translate(ROOT / "template.yaml")
MSK = {
    "KafkaBootstrapServers": "broker:9098",
    "KafkaSecurity": "msk-iam",
    "MskClusterArn": "arn:aws:kafka:us-east-1:1:cluster/c/1",
    "KafkaSecurityGroupId": "sg-1",
    "VpcId": "vpc-1",
    "SubnetIds": "subnet-1,subnet-2",
}
# Parameters that a person may choose together.
DEPLOYMENTS = [
    {},
    {"KafkaBrokers": "3", "Producer": "synthetic"},
    {"KafkaBootstrapServers": "broker:9092", "Endpoints": "interface"},
    {"KafkaBrokers": "3", "Endpoints": "interface"},
    {**MSK, "Endpoints": "interface"},
    {"VpcId": "vpc-1", "SubnetIds": "subnet-1,subnet-2,subnet-3", "SubnetZones": "a,b,c", "KafkaBrokers": "3"},
    {"CrawlerMode": "inferred", "CrawlOn": "every-file", "LakeFormat": "csv"},
    {"Consumers": "0", "ExistingBucket": "lake", "RawDataDays": "30"},
    {"Curate": "off"},
]


def deployed(**parameters):
    return EvaluatedTemplate(TEMPLATE, **parameters)


def actions(deployment, role):
    """Returns what a role's own policies and the stack's policies attached to it allow."""
    properties = deployment.properties(role)
    policies = properties["Policies"] + [deployment.properties(policy["Ref"]) for policy in properties.get("ManagedPolicyArns", [])]
    return allowed(policies)


def statements(deployment, role):
    """Returns the statements of a role's own policies."""
    return [statement for policy in deployment.properties(role)["Policies"] for statement in policy["PolicyDocument"]["Statement"]]


def resources(deployment, role, action):
    """Returns the resources on which a role's own policies allow an action."""
    return [resource for s in statements(deployment, role) if action in listed(s["Action"]) for resource in listed(s["Resource"])]


def allowed(policies):
    """Returns the actions that policies allow."""
    statements = [s for policy in policies for s in policy["PolicyDocument"]["Statement"]]
    return {action for statement in statements for action in listed(statement["Action"])}


def replacing(kind, before, after):
    """Returns the properties whose change makes CloudFormation replace a resource."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    fixed = (path.removeprefix("/properties/") for path in schema.get("createOnlyProperties", []))
    return {name for name in fixed if before.get(name) != after.get(name)}


class Template(unittest.TestCase):
    def test_no_reference_is_to_a_resource_that_a_condition_leaves_out(self):
        for parameters in DEPLOYMENTS:
            with self.subTest(parameters):
                self.assertEqual(deployed(**parameters).refusals(), [])
                self.assertEqual(deployed(**parameters).dangling(), [])

    def test_a_bare_deployment_is_not_refused(self):
        self.assertEqual(deployed().refusals(), [])
        self.assertEqual(deployed(KafkaSecurity="tls").refusals()[0][:46], "The stack's own Kafka is KafkaSecurity=plainte")

    def test_every_instance_boots_by_the_one_script(self):
        """EC2 limits user data to 16 KiB, and Fn::Sub would replace `${…}` in the script."""
        script = TEMPLATE["Mappings"]["Scripts"]["Boot"]["FromLayer"]
        self.assertNotIn("${", script)
        templates = deployed(KafkaBrokers="3", Producer="synthetic").of_type("AWS::EC2::LaunchTemplate")
        self.assertEqual(len(templates), 5)
        for name, template in templates.items():
            user_data = template["LaunchTemplateData"]["UserData"]["Fn::Base64"]
            self.assertTrue(user_data.startswith("#!/bin/bash\n"), name)
            self.assertTrue(user_data.endswith(script + "\n"), name)
            self.assertLess(len(user_data), 16 * 1024, name)
            for variable in set(re.findall(r"\$([A-Z]+)\b", script)):
                self.assertRegex(user_data, rf"(?m)^export (.* )?{variable}=", name)

    def test_no_deployment_replaces_brokers_for_a_newer_image(self):
        """A reference that EC2 resolves at launch stays the same text. If CloudFormation looked the image up, the text would change."""
        for name, template in deployed(KafkaBrokers="3").of_type("AWS::EC2::LaunchTemplate").items():
            if name.startswith("Kafka"):
                self.assertRegex(template["LaunchTemplateData"]["ImageId"], "^resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-")
        given = deployed(KafkaImageId="ami-0123456789abcdef0").properties("Kafka1Template")["LaunchTemplateData"]
        self.assertEqual(given["ImageId"], "ami-0123456789abcdef0")

    def test_a_failed_first_deployment_leaves_nothing_that_breaks_the_next(self):
        """Retain also applies to the rollback of a creation. Resources that all stacks of an account share belong to none of them."""
        deployment = deployed(KafkaBrokers="3", LakeBucketName="lake")
        for name, resource in deployment.resources.items():
            self.assertNotEqual(resource.get("DeletionPolicy"), "Retain", name)
        for name in ("LakeBucket", "KafkaVolume1"):
            self.assertEqual(deployment.resources[name]["DeletionPolicy"], "RetainExceptOnCreate")
        groups = [group["LogGroupName"] for group in deployment.of_type("AWS::Logs::LogGroup").values()]
        self.assertNotIn("/aws-glue/crawlers", groups)
        self.assertEqual([group for group in groups if "ticklake" not in group], [])

    def test_the_crawler_may_create_the_log_group_that_no_stack_has(self):
        self.assertIn("logs:CreateLogGroup", actions(deployed(), "CrawlerRole"))

    def test_fewer_consumers_end_instances(self):
        """Without a desired capacity, a group keeps its instances unless they are more than MaxSize."""
        for consumers in ("3", "1"):
            self.assertEqual(deployed(Consumers=consumers).properties("ConsumerGroup").get("DesiredCapacity"), consumers)

    def test_another_number_of_brokers_is_refused_with_a_reason_before_any_broker_is_touched(self):
        """CloudFormation refuses to replace a resource with a fixed name, and quotes the name. The resources that refer to it wait for it."""
        before, after = deployed(KafkaBrokers="1"), deployed(KafkaBrokers="3")
        groups = [deployment.properties("KafkaSecurityGroup") for deployment in (before, after)]
        self.assertEqual(replacing("AWS::EC2::SecurityGroup", *groups), {"GroupDescription"})
        self.assertIn("KafkaBrokers of ticklake is fixed at creation", groups[1]["GroupName"])
        for name, template in after.of_type("AWS::EC2::LaunchTemplate").items():
            if name.startswith("Kafka"):
                self.assertIn("KafkaSecurityGroup", set(references(template)))

    def test_crawler_mode_can_be_switched(self):
        """An update creates new resources before it deletes old ones. That fails if two crawlers have the same name."""
        typed, inferred = deployed(CrawlerMode="typed"), deployed(CrawlerMode="inferred", CrawlOn="every-file")
        names = [{crawler["Name"] for crawler in deployment.of_type("AWS::Glue::Crawler").values()} for deployment in (typed, inferred)]
        self.assertEqual(names[0] & names[1], set())
        for deployment in (typed, inferred):
            (crawler,) = deployment.of_type("AWS::Glue::Crawler")
            self.assertEqual(deployment.properties("StartCrawlerFunction")["Environment"]["Variables"]["CRAWLER_NAME"], {"Ref": crawler})
            self.assertIn(f"crawler/${{{crawler}}}", str(deployment.properties("StartCrawlerRole")))

    def test_no_deployment_forgets_a_parameter(self):
        """The next `sam deploy` takes a parameter from samconfig.toml again, even if the command line has overridden it. So pages change it there."""
        for page in ("README.md", "docs/deploy.md", "docs/runbook.md"):
            self.assertNotIn("--parameter-overrides", (ROOT / page).read_text(encoding="utf-8"), page)

    def test_image_instance_type_and_architecture_agree(self):
        for architecture, image, family in (("x86_64", "AgentImage", "t3."), ("arm64", "AgentImageArm64", "t4g.")):
            deployment = deployed(Architecture=architecture, KafkaBrokers="3", Producer="synthetic")
            path = deployment.parameter(image)
            self.assertTrue(path.endswith(architecture))
            for name, template in deployment.of_type("AWS::EC2::LaunchTemplate").items():
                data = template["LaunchTemplateData"]
                self.assertIn(data["ImageId"], (path, f"resolve:ssm:{path}"), name)
                self.assertTrue(data["InstanceType"].startswith(family), name)
        for given in ({"ConsumerInstanceType": "t3.small"}, {"KafkaInstanceType": "t3a.large"}):
            self.assertEqual(deployed(**given).refusals(), [])
            self.assertIn("another processor than Architecture=arm64", deployed(Architecture="arm64", **given).refusals()[0])
        self.assertIn("another processor than Architecture=x86_64", deployed(ConsumerInstanceType="t4g.small").refusals()[0])

    def test_agents_are_compiled_for_the_architecture_that_is_deployed(self):
        """The architecture of the machine that builds must not matter."""
        for line, target in (
            ('parameter_overrides = ["Consumers=3", "Architecture=arm64"]', "arm64"),
            (r'parameter_overrides = "Consumers=\"3\" Architecture=\"arm64\" Topic=\"ticks\""', "arm64"),
            ('# parameter_overrides = ["Architecture=arm64"]', "x86-64"),
            ('parameter_overrides = [\n"Architecture=arm64",\n]', "arm64"),
            ("", "x86-64"),
        ):
            with tempfile.TemporaryDirectory() as root:
                (pathlib.Path(root) / "samconfig.toml").write_text(f"[default.global.parameters]\n{line}\n", encoding="utf-8")
                (pathlib.Path(root) / "agents").mkdir()
                make = ["make", "--dry-run", "--makefile", ROOT / "ec2-agents/Makefile", "build-AgentLayer"]
                commands = subprocess.run(make, cwd=f"{root}/agents", capture_output=True, text=True, check=True).stdout
                self.assertIn(f"--{target} ", commands, line)

    def test_the_crawler_may_do_what_a_crawl_may_ask_for(self):
        for mode in ("typed", "inferred"):
            self.assertLessEqual({"glue:GetTables", "glue:UpdateTable"}, actions(deployed(CrawlerMode=mode), "CrawlerRole"))
        (inferred,) = deployed(CrawlerMode="inferred").of_type("AWS::Glue::Crawler").values()
        self.assertIs(json.loads(inferred["Configuration"])["CreatePartitionIndex"], False)

    def test_without_curation_nothing_of_it_runs_and_the_tables_stay(self):
        everything, without = deployed(), deployed(Curate="off")
        left_out = everything.resources.keys() - without.resources.keys()
        self.assertEqual({name for name in left_out if not re.match("Curate|Hour", name)}, set())
        self.assertEqual({name for name in without.resources if "Curate" in name}, {"CuratedTicksTable"})
        self.assertIn("BarsTable", without.resources)
        self.assertEqual([name for name in without.outputs() if "Curate" in name], [])

    def test_what_lands_and_what_is_curated_is_created_once(self):
        """G1 and G11: whatever consumers and curate may put, the bucket's policy keeps everybody from overwriting."""
        deployment = deployed()
        denied = [s for s in deployment.properties("LakeBucketPolicy")["PolicyDocument"]["Statement"] if s["Sid"].startswith("CreateOnly")]
        for statement in denied:
            self.assertEqual((statement["Effect"], statement["Principal"], statement["Action"]), ("Deny", "*", "s3:PutObject"))
            self.assertEqual(statement["Condition"], {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}})
        written = {resource for role in ("ConsumerRole", "CurateRole") for resource in resources(deployment, role, "s3:PutObject")}
        self.assertEqual(sorted(resource for statement in denied for resource in statement["Resource"]), sorted(written))

    def test_curate_deletes_nothing_and_writes_and_tags_only_curated_objects(self):
        deployment = deployed()
        self.assertEqual([action for action in actions(deployment, "CurateRole") if "delete" in action.lower()], ["sqs:DeleteMessage"])
        for action, wanted in (
            ("s3:PutObject", ["_curated/*", "curated/*"]),
            ("s3:PutObjectTagging", ["curated/*"]),
            ("s3:GetObject", ["_curated/*", "curated/*", "ticks/*"]),
            ("glue:BatchUpdatePartition", ["bars_1m", "curated_ticks"]),
        ):
            found = resources(deployment, "CurateRole", action)
            self.assertEqual(sorted(re.sub(r".*:::\${LakeName.Value}/|.*:table/\${Database}/", "", name) for name in found if not re.search(":catalog$|:database/", name)), wanted)
        (listing,) = (s for s in statements(deployment, "CurateRole") if s["Action"] == "s3:ListBucket")
        self.assertNotIn("Condition", listing, "with a condition on the prefix S3 answers 403 for an object that has expired")

    def test_outcomes_of_hours_reach_notify_and_not_the_crawler(self):
        deployment = deployed()
        keys = {name: rule["EventPattern"]["detail"]["object"]["key"] for name, rule in deployment.of_type("AWS::Events::Rule").items()}
        self.assertEqual(keys.keys(), {"CrawlRule", "NotifyRule"})
        outcomes = {"wildcard": "_curated/*.outcome.json"}
        self.assertEqual([name for name, patterns in keys.items() if outcomes in patterns], ["NotifyRule"])
        self.assertEqual(keys["CrawlRule"], [{"prefix": "ticks/"}])
        self.assertEqual([target["Arn"] for target in deployment.properties("NotifyRule")["Targets"]], [{"Fn::GetAtt": ["NotifyQueue", "Arn"]}])

    def test_notify_reads_announced_files_and_registers_of_hours_and_nothing_else(self):
        for action, wanted in (("s3:GetObject", ["_curated/*", "dead-letter/*", "ticks/*"]), ("s3:GetObjectVersion", ["dead-letter/*", "ticks/*"])):
            found = resources(deployed(), "NotifyRole", action)
            self.assertEqual(sorted(re.sub(r".*:::\${LakeName.Value}/", "", name) for name in found), wanted)
        self.assertEqual({action for action in actions(deployed(), "NotifyRole") if action.startswith("s3:")}, {"s3:GetObject", "s3:GetObjectVersion"})

    def test_a_subscriber_can_have_the_mails_of_hours_alone(self):
        def kinds(**parameters):
            subscription = deployed(SubscriberEmail="a@example.com", **parameters).properties("EmailSubscription")
            return subscription.get("FilterPolicy", {}).get("kind")

        self.assertIsNone(kinds())
        self.assertEqual(kinds(SubscriberMails="hours"), ["hour"])
        self.assertEqual(kinds(SubscriberMails="files"), ["data", "dead-letter"])
        for mails, refused in (("hours", 1), ("files", 0), ("all", 0)):
            self.assertEqual(len(deployed(Curate="off", SubscriberMails=mails).refusals()), refused, mails)
        self.assertIn("needs Curate=on", deployed(Curate="off", SubscriberMails="hours").refusals()[0])

    def test_the_consumer_reaches_curated_hours_only_if_there_are_any(self):
        """For `tick-consumer curate` and `verify --curated`: what the function may do to objects and tables, and a listing of partitions."""
        consumer, function = (actions(deployed(), role) for role in ("ConsumerRole", "CurateRole"))
        without = deployed(Curate="off")
        gained = consumer - actions(without, "ConsumerRole")
        self.assertEqual(gained, {action for action in function if re.match("glue:|s3:PutObjectTagging", action)} | {"glue:GetPartitions"})
        for action in ("s3:GetObject", "s3:PutObject"):
            self.assertEqual([name for name in resources(without, "ConsumerRole", action) if "curated" in name], [], action)
        settings = [json.dumps(deployment.properties("ConsumerConfig")["Value"]) for deployment in (deployed(), without)]
        self.assertEqual(["database" in text for text in settings], [True, False])

    def test_the_crawler_does_not_touch_curated_tables(self):
        for mode in ("typed", "inferred"):
            deployment = deployed(CrawlerMode=mode)
            for action in [action for action in actions(deployment, "CrawlerRole") if re.match("glue:.*(Create|Update)", action)]:
                tables = [name for name in resources(deployment, "CrawlerRole", action) if ":table/" in name]
                self.assertEqual([name.rsplit("/", 1)[-1] for name in tables], ["ticks*"], action)
            (crawler,) = deployment.of_type("AWS::Glue::Crawler").values()
            self.assertNotIn("curated", str(crawler["Targets"]))

    def test_a_replaced_version_expires_by_its_tag_and_nothing_else_of_curated_hours_does(self):
        for parameters in ({}, {"RawDataDays": "30"}):
            rules = deployed(**parameters).properties("LakeBucket")["LifecycleConfiguration"]["Rules"]
            expiring = [rule for rule in rules if "ExpirationInDays" in rule and re.match(r"_?curated/|$", rule.get("Prefix", ""))]
            tag = {"Key": "ticklake-superseded", "Value": "true"}
            self.assertEqual([(rule["Prefix"], rule["TagFilters"], rule["ExpirationInDays"]) for rule in expiring], [("curated/", [tag], "7")])

    def test_curated_tables_are_parquet_with_the_columns_of_the_raw_one(self):
        for format in ("parquet", "json", "csv"):
            deployment = deployed(LakeFormat=format)
            raw, ticks, bars = (deployment.properties(name)["TableInput"] for name in ("TicksTable", "CuratedTicksTable", "BarsTable"))
            self.assertEqual(ticks["StorageDescriptor"]["Columns"], raw["StorageDescriptor"]["Columns"])
            for table in (ticks, bars):
                self.assertIn("ParquetHiveSerDe", table["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"])
                self.assertEqual(table["PartitionKeys"], raw["PartitionKeys"])
        self.assertIn("CuratedTicksTable", deployed(CrawlerMode="inferred").resources)

    def test_an_hour_that_is_overdue_alarms_also_if_nothing_looks(self):
        alarm = deployed().properties("HourOverdueAlarm")
        self.assertEqual((alarm["MetricName"], alarm["Threshold"], alarm["TreatMissingData"]), ("OldestUncuratedSeconds", 7200, "missing"))
        self.assertTrue(alarm["InsufficientDataActions"])
        # Each period has a look, even if one begins a moment late.
        self.assertGreater(alarm["Period"], 2 * 300)

    def test_the_schedules_start_curate_and_nothing_else(self):
        deployment = deployed()
        for name, plan in (("CurateSchedule", {}), ("CurateDailySchedule", {"days": 30})):
            target = deployment.properties(name)["Target"]
            self.assertEqual(target["Arn"], {"Fn::GetAtt": ["CurateFunction", "Arn"]})
            self.assertEqual(json.loads(target["Input"]), {"plan": plan})
        self.assertEqual(actions(deployment, "CurateScheduleRole"), {"lambda:InvokeFunction"})
        self.assertEqual(statements(deployment, "CurateScheduleRole")[0]["Resource"], target["Arn"])

    def test_a_failed_look_is_not_repeated_beside_the_next_one(self):
        """The schedule calls asynchronously, and Lambda would try twice more by itself."""
        (config,) = deployed().of_type("AWS::Lambda::EventInvokeConfig").values()
        self.assertEqual((config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]), (0, 300))

    def test_queues_wait_for_their_function_as_lambda_wants_it(self):
        """Six times the timeout, plus the window of the batches; and five receives, before a message is a dead letter."""
        deployment = deployed()
        sources = deployment.of_type("AWS::Lambda::EventSourceMapping").values()
        self.assertEqual(len(sources), 3)
        for source in sources:
            function = deployment.properties(source["FunctionName"]["Ref"])
            queue = deployment.properties(source["EventSourceArn"]["Fn::GetAtt"][0])
            self.assertGreaterEqual(queue["VisibilityTimeout"], 6 * function["Timeout"] + source.get("MaximumBatchingWindowInSeconds", 0))
            self.assertGreaterEqual(queue["RedrivePolicy"]["maxReceiveCount"], 5)
            self.assertEqual(source["FunctionResponseTypes"], ["ReportBatchItemFailures"])

    def test_the_dashboard_is_json_with_and_without_curation(self):
        for curate, has_widgets in (("on", True), ("off", False)):
            deployment = deployed(Curate=curate)
            body = deployment.value(deployment.properties("Dashboard")["DashboardBody"])
            widgets = json.loads(body)["widgets"]
            titles = [widget["properties"]["title"] for widget in widgets]
            self.assertEqual("Curated hours" in titles, has_widgets)
            places = [(widget["x"], widget["y"]) for widget in widgets]
            self.assertEqual(len(places), len(set(places)))
            self.assertEqual("CurateDeadLetterQueue" in body, has_widgets)

    def test_two_zones_suffice_for_all_but_three_brokers(self):
        """An account may have only two zones in a region. The index of a third would be out of range."""
        for parameters in ({}, {"KafkaBootstrapServers": "broker:9092", "Endpoints": "interface"}):
            zones = {subnet["AvailabilityZone"]["Fn::Select"][0] for subnet in deployed(**parameters).of_type("AWS::EC2::Subnet").values()}
            self.assertEqual(zones, {0, 1})
        self.assertEqual(len(deployed(KafkaBrokers="3").of_type("AWS::EC2::Subnet")), 3)

    def test_a_second_stack_of_the_account_has_names_of_its_own(self):
        first, second = (deployed(stack=stack, KafkaBrokers="3", Producer="synthetic") for stack in ("ticklake", "other-lake"))
        self.assertEqual(second.properties("Database")["DatabaseInput"]["Name"], "other_lake")
        for name, resource in first.resources.items():
            # A table is named within its database, a record within its zone, a function's version within the function.
            if resource["Type"] not in ("AWS::Glue::Table", "AWS::Route53::RecordSet", "AWS::Lambda::EventInvokeConfig"):
                schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource["Type"]).schema
                for identifier in (path.removeprefix("/properties/") for path in schema["primaryIdentifier"]):
                    own = resource.get("Properties", {}).get(identifier)
                    if isinstance(own, str):
                        self.assertNotEqual(own, second.properties(name)[identifier], name)

    def test_the_athena_console_lists_for_an_analyst(self):
        listed = {"athena:ListWorkGroups", "athena:ListDataCatalogs", "athena:ListDatabases", "athena:ListTableMetadata", "glue:GetDatabases"}
        self.assertLessEqual(listed, allowed([deployed().properties("AnalystPolicy")]))

    def test_no_alarm_fires_before_the_first_data(self):
        """At the start of a first deployment, data are missing."""
        for name, alarm in deployed(KafkaBrokers="3", ExpectedSubscriptions="1").of_type("AWS::CloudWatch::Alarm").items():
            self.assertNotEqual(alarm["TreatMissingData"], "breaching", name)
            self.assertTrue(alarm.get("AlarmActions") or alarm.get("InsufficientDataActions"), name)

    def test_silence_is_seen_of_one_among_several_and_of_all(self):
        """A minimum does not notice a member that reports nothing, and a count has no data if no member reports."""
        alarms = deployed(Consumers="3", KafkaBrokers="3").of_type("AWS::CloudWatch::Alarm").values()
        for metric in ("ticklake_ready", "disk_used_percent"):
            watching = [alarm for alarm in alarms if alarm["MetricName"] == metric]
            self.assertIn(("SampleCount", "3", 60), [(alarm["Statistic"], str(alarm["Threshold"]), alarm["Period"]) for alarm in watching])
            silent = [alarm for alarm in watching if alarm.get("InsufficientDataActions")]
            self.assertEqual([alarm["TreatMissingData"] for alarm in silent], ["missing"], metric)

    def test_partitions_without_all_their_copies_alarm(self):
        watched = [alarm["MetricName"] for alarm in deployed(KafkaBrokers="3").of_type("AWS::CloudWatch::Alarm").values()]
        self.assertIn("UnderReplicatedPartitions", watched)

    def test_the_cost_table_adds_up(self):
        page = (ROOT / "docs/cost.md").read_text(encoding="utf-8")
        (*rows, total), (*curating, sum_of_curating) = (
            re.findall(r"^\| (.+) \| \**([\d.]+)\** \| \**([\d.]+)\** \| (.+) \|$", section, re.M) for section in page.split("\n## ")
        )
        for parts, whole in ((rows, total), (curating, sum_of_curating)):
            for column in (1, 2):
                self.assertAlmostEqual(sum(float(row[column]) for row in parts), float(whole[column]), places=4)
        for _, hour, day, _ in [*curating, sum_of_curating]:
            # Each part is rounded to a cent.
            self.assertAlmostEqual(24 * float(hour), float(day), delta=0.015)
        (line,) = (row for row in rows if row[0] == "curate")
        self.assertEqual(line[2], sum_of_curating[2])
        self.assertIn("EventBridge", [row[0] for row in rows])
        alarms = len(deployed().of_type("AWS::CloudWatch::Alarm"))
        (line,) = (row for row in rows if row[0].startswith("CloudWatch"))
        self.assertIn(f"{alarms} alarms × 0.10/30", line[3])
        metrics, idle = (int(count) for count in re.match(r"(\d+) metrics .*?\(idle (\d+)", line[3]).groups())
        for column, count in ((1, idle), (2, metrics)):
            self.assertAlmostEqual(float(line[column]), (count * 0.30 + alarms * 0.10 + 1.00 + 0.50) / 30 + 0.02, delta=0.006)

    def test_topic_settings_replace_no_broker(self):
        before, after = deployed(), deployed(TopicPartitions="24", TopicRetentionHours="24")
        self.assertEqual(before.properties("Kafka1Template"), after.properties("Kafka1Template"))
        self.assertNotEqual(before.properties("KafkaTopic"), after.properties("KafkaTopic"))

    def test_the_network_can_be_updated(self):
        """A WaitConditionHandle cannot be updated, not even one with metadata that refer to the resources for which instances wait."""
        for parameters in DEPLOYMENTS:
            deployment = deployed(**parameters)
            self.assertEqual(deployment.of_type("AWS::CloudFormation::WaitConditionHandle"), {})
            awaited = set(references(deployment.properties("NetworkReady")))
            for kind in ("Route", "SubnetRouteTableAssociation", "VPCEndpoint"):
                self.assertLessEqual(deployment.of_type(f"AWS::EC2::{kind}").keys(), awaited)
            for name in deployment.of_type("AWS::AutoScaling::AutoScalingGroup"):
                waits = set(references({"DependsOn": deployment.resources[name]["DependsOn"]}))
                self.assertTrue(waits & {"NetworkReady", "KafkaGroup1", "KafkaGroup2"}, name)

    def test_a_first_deployment_reaches_an_existing_kafka(self):
        """Its security group has to let in a group that the stack creates, before the agents boot."""
        deployment = deployed(**MSK)
        ingress = deployment.properties("KafkaIngress")
        self.assertEqual((ingress["GroupId"], ingress["SourceSecurityGroupId"]), ("sg-1", {"Ref": "AgentSecurityGroup"}))
        self.assertIn("KafkaIngress", set(references(deployment.properties("NetworkReady"))))
        self.assertIn("needs VpcId", deployed(**{**MSK, "VpcId": ""}).refusals()[0])

    def test_interface_endpoints_are_created_in_an_existing_vpc(self):
        deployment = deployed(**MSK, Endpoints="interface")
        self.assertEqual(deployment.of_type("AWS::EC2::VPC"), {})
        endpoints = deployment.of_type("AWS::EC2::VPCEndpoint")
        self.assertEqual(len(endpoints), 7)
        for endpoint in endpoints.values():
            self.assertEqual((endpoint["VpcId"], endpoint["SubnetIds"]), ("vpc-1", ["subnet-1", "subnet-2"]))

    def test_outputs_name_what_other_stacks_need(self):
        outputs = deployed(Producer="synthetic").outputs()
        for name in ("AgentVpcId", "AgentSubnetIds", "AgentSecurityGroupId", "BootstrapServers", "ConsumerGroupName", "ProducerGroupName"):
            self.assertIn(name, outputs)
        self.assertEqual(deployed(**MSK).outputs()["AgentSubnetIds"], "subnet-1,subnet-2")

    def test_sam_build_reads_the_outputs(self):
        """`sam build` replaces an output's name by the value of the parameter with that name, and fails with a TypeError if the value is a list."""
        for name in TEMPLATE["Outputs"].keys() & TEMPLATE["Parameters"].keys():
            self.assertNotIn("List", TEMPLATE["Parameters"][name]["Type"], f"give output {name} another name: sam build breaks if it is that of a list parameter")

    def test_a_stack_with_brokers_can_be_deleted(self):
        """A hosted zone cannot be deleted if instances wrote records into it. So the stack owns names and addresses."""
        deployment = deployed(KafkaBrokers="3")
        self.assertEqual([action for action in actions(deployment, "KafkaRole") if action.startswith("route53:")], [])
        names = {record["Name"]: record["ResourceRecords"] for record in deployment.of_type("AWS::Route53::RecordSet").values()}
        for number in (1, 2, 3):
            address = {"Fn::GetAtt": [f"KafkaInterface{number}", "PrimaryPrivateIpAddress"]}
            self.assertEqual(names[f"kafka-{number}.ticklake.internal"], [address])
            self.assertIn(f"KafkaInterface{number}", set(references(deployment.properties(f"Kafka{number}Template"))))
            self.assertIn(f"KafkaName{number}", set(references(deployment.properties("NetworkReady"))))

    def test_every_instance_takes_sessions_and_says_why_a_boot_failed(self):
        """The roles of instances are the roles that EC2 may assume."""
        deployment = deployed()
        roles = [name for name, role in deployment.of_type("AWS::IAM::Role").items() if "ec2.amazonaws.com" in str(role["AssumeRolePolicyDocument"])]
        self.assertEqual(sorted(roles), ["ConsumerRole", "KafkaRole", "ProducerRole"])
        for role in roles:
            needed = {"lambda:GetLayerVersion", "logs:CreateLogGroup", "ssm:UpdateInstanceInformation", "ssmmessages:OpenDataChannel"}
            self.assertLessEqual(needed, actions(deployment, role), role)

    def test_only_agents_may_read_the_secret_and_reach_msk(self):
        deployment = deployed(**{**MSK, "KafkaSecretArn": "arn:aws:secretsmanager:us-east-1:1:secret:kafka"})
        for role in ("ConsumerRole", "ProducerRole"):
            self.assertLessEqual({"secretsmanager:GetSecretValue", "kafka-cluster:Connect", "kafka-cluster:WriteData"}, actions(deployment, role), role)
        self.assertIn("kafka-cluster:ReadData", actions(deployment, "ConsumerRole"))
        self.assertNotIn("kafka-cluster:ReadData", actions(deployment, "ProducerRole"))
        topics = [s["Resource"] for s in deployment.properties("AgentPolicy")["PolicyDocument"]["Statement"] if "kafka-cluster:WriteData" in s["Action"]]
        self.assertEqual(topics, ["arn:aws:kafka:us-east-1:1:topic/c/1/ticks"])

    def test_own_brokers_need_no_way_to_the_internet(self):
        deployment = deployed(Endpoints="interface")
        self.assertEqual(deployment.refusals(), [])
        services = {str(endpoint["ServiceName"]).rsplit(".", 1)[-1].strip("'}") for endpoint in deployment.of_type("AWS::EC2::VPCEndpoint").values()}
        self.assertLessEqual({"ec2", "monitoring", "lambda", "logs", "ssm", "s3"}, services)
        sources = [rule["SourceSecurityGroupId"] for rule in deployment.properties("EndpointSecurityGroup")["SecurityGroupIngress"]]
        self.assertIn({"Ref": "KafkaSecurityGroup"}, sources)

    def test_mails_immediate_has_a_window_for_its_batches(self):
        """Lambda refuses a batch size above 10 without a window of at least a second."""
        for mails in ("digest", "immediate"):
            for name, source in deployed(Mails=mails).of_type("AWS::Lambda::EventSourceMapping").items():
                if source["BatchSize"] > 10:
                    self.assertGreaterEqual(source["MaximumBatchingWindowInSeconds"], 1, f"{name} with Mails={mails}")


if __name__ == "__main__":
    unittest.main()
