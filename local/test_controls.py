"""Boundary, key, tags, snapshots and budget: parameters that are off by default, and reach everything that they are meant for when they are on."""

import json
import unittest

from test_template import MSK, ROOT, actions, allowed, deployed, replacing

BOUNDARY = "arn:aws:iam::111122223333:policy/boundary"
KEY = "arn:aws:kms:us-east-1:111122223333:key/0123abcd"
# A deployment in which every resource of the template exists but those for another Kafka.
WHOLE = {"KafkaBrokers": "3", "Producer": "synthetic", "KafkaSnapshotDays": "7", "OperatorEmail": "you@example.com", "MonthlyBudgetUSD": "100"}
# What a role does with encrypted things, and what it needs of their key.
USES = {
    "s3:GetObject": {"kms:Decrypt"},
    "s3:PutObject": {"kms:Decrypt", "kms:GenerateDataKey"},
    "sqs:ReceiveMessage": {"kms:Decrypt"},
    "sqs:SendMessage": {"kms:Decrypt", "kms:GenerateDataKey"},
    "sns:Publish": {"kms:Decrypt", "kms:GenerateDataKey"},
    "ec2:AttachVolume": {"kms:CreateGrant"},
}


def launches(deployment):
    """Returns the data of all launch templates, by their names."""
    return {name: template["LaunchTemplateData"] for name, template in deployment.of_type("AWS::EC2::LaunchTemplate").items()}


def keys(deployment):
    """Returns the key of everything that can have one, by its name; None for what names none."""
    of = deployment.of_type
    named = {name: group.get("KmsKeyId") for name, group in of("AWS::Logs::LogGroup").items()}
    named |= {name: volume.get("KmsKeyId") for name, volume in of("AWS::EC2::Volume").items()}
    named |= {name: queue.get("KmsMasterKeyId") for name, queue in of("AWS::SQS::Queue").items()}
    named |= {name: topic.get("KmsMasterKeyId") for name, topic in of("AWS::SNS::Topic").items()}
    for name, bucket in of("AWS::S3::Bucket").items():
        for rule in bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]:
            named[name] = rule["ServerSideEncryptionByDefault"].get("KMSMasterKeyID")
    for name, group in of("AWS::Athena::WorkGroup").items():
        named[name] = group["WorkGroupConfiguration"]["ResultConfiguration"]["EncryptionConfiguration"].get("KmsKey")
    for name, data in launches(deployment).items():
        for device in data["BlockDeviceMappings"]:
            named[name + device["DeviceName"]] = device["Ebs"].get("KmsKeyId")
    return named


class Controls(unittest.TestCase):
    def test_every_role_has_the_boundary(self):
        """Also one that SAM makes for a function without a role, if somebody adds that."""
        for boundary in ("", BOUNDARY):
            for parameters in (WHOLE, MSK):
                roles = deployed(**parameters, PermissionsBoundaryArn=boundary).of_type("AWS::IAM::Role")
                self.assertGreaterEqual(len(roles), 5)
                for name, role in roles.items():
                    self.assertEqual(role.get("PermissionsBoundary", ""), boundary, name)

    def test_everything_is_encrypted_by_the_key_that_is_given(self):
        own = keys(deployed(**WHOLE, KmsKeyArn=KEY))
        self.assertEqual({name: key for name, key in own.items() if key != KEY}, {})
        default = keys(deployed(**WHOLE))
        self.assertEqual(default.keys(), own.keys())
        topics = {"NewFilesTopic", "OperatorTopic"}
        self.assertEqual({name: key for name, key in default.items() if key}, dict.fromkeys(topics, {"Ref": "TopicKey"}))

    def test_a_key_is_in_the_place_of_what_it_replaces(self):
        deployment = deployed(**WHOLE, KmsKeyArn=KEY)
        self.assertEqual((deployment.refusals(), deployment.dangling()), ([], []))
        self.assertEqual(deployment.of_type("AWS::KMS::Key"), {})
        for name, queue in deployment.of_type("AWS::SQS::Queue").items():
            # SQS refuses both.
            self.assertNotIn("SqsManagedSseEnabled", queue, name)
            self.assertIs(deployed().properties(name)["SqsManagedSseEnabled"], True)
        (rule,) = deployment.properties("LakeBucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        self.assertTrue(rule["BucketKeyEnabled"])

    def test_every_role_may_use_the_key_for_what_it_does(self):
        deployment = deployed(**WHOLE, KmsKeyArn=KEY)
        roles, managed = deployment.of_type("AWS::IAM::Role"), deployment.of_type("AWS::IAM::ManagedPolicy")
        granted = {name: actions(deployment, name) for name in roles} | {name: allowed([policy]) for name, policy in managed.items()}
        for name, granting in granted.items():
            needed = set().union(*(needs for use, needs in USES.items() if use in granting))
            self.assertEqual({action for action in granting if action.startswith("kms:")}, needed, name)
        policies = [policy for role in roles.values() for policy in role["Policies"]] + list(managed.values())
        for statement in (s for policy in policies for s in policy["PolicyDocument"]["Statement"]):
            if "kms:" in str(statement["Action"]):
                self.assertEqual(statement["Resource"], KEY)
        grant = next(s for s in deployment.properties("KafkaRole")["Policies"][0]["PolicyDocument"]["Statement"] if s["Action"] == "kms:CreateGrant")
        self.assertEqual(grant["Condition"]["Bool"], {"kms:GrantIsForAWSResource": "true"})

    def test_the_key_policy_admits_every_service_that_uses_the_key(self):
        deployment = deployed(**WHOLE, KmsKeyArn=KEY)
        services = set()
        for rule in deployment.of_type("AWS::Events::Rule").values():
            services |= {"events.amazonaws.com" for target in rule["Targets"] if "Queue" in str(target["Arn"])}
        for alarm in deployment.of_type("AWS::CloudWatch::Alarm").values():
            services |= {"cloudwatch.amazonaws.com" for topic in alarm.get("AlarmActions", []) if topic["Ref"] in deployment.of_type("AWS::SNS::Topic")}
        if deployment.of_type("AWS::Logs::LogGroup"):
            services.add("logs.REGION.amazonaws.com")
        if deployment.of_type("AWS::AutoScaling::AutoScalingGroup"):
            services.add("AWSServiceRoleForAutoScaling")
        statements = json.loads((ROOT / "docs/key-policy.json").read_text(encoding="utf-8"))["Statement"]
        principals = {statement["Sid"]: next(iter(statement["Principal"].values())) for statement in statements}
        self.assertTrue(principals.pop("RolesAndAdministratorsByTheirOwnPolicies").endswith(":root"))
        self.assertEqual({principal.rsplit("/", 1)[-1] for principal in principals.values()}, services)
        # EC2 attaches what Auto Scaling launches by a grant.
        self.assertIn("kms:CreateGrant", [s["Action"] for s in statements if "AutoScaling" in str(s["Principal"])])

    def test_what_is_launched_has_the_tag(self):
        """The stack's tags reach what CloudFormation creates, and Auto Scaling's the instances alone."""
        tagged = deployed(**WHOLE, CostAllocationTagName="CostCenter", CostAllocationTagValue="42")
        self.assertEqual(tagged.refusals(), [])
        for deployment, count in ((tagged, 1), (deployed(**WHOLE), 0)):
            for name, data in launches(deployment).items():
                tags = {specification["ResourceType"]: specification["Tags"] for specification in data["TagSpecifications"]}
                self.assertEqual(tags.keys(), {"instance", "volume", "network-interface"}, name)
                for resource, listed in tags.items():
                    self.assertEqual(listed.count({"Key": "CostCenter", "Value": "42"}), count, f"{name}, {resource}")
        self.assertIn("go together", deployed(CostAllocationTagName="CostCenter").refusals()[0])

    def test_snapshots_are_taken_of_the_data_volumes_alone(self):
        deployment = deployed(**WHOLE)
        details = deployment.properties("KafkaSnapshots")["PolicyDetails"]
        (target,) = details["TargetTags"]
        volumes = deployment.of_type("AWS::EC2::Volume")
        self.assertEqual(len(volumes), 3)
        for name, volume in volumes.items():
            self.assertIn(target, volume["Tags"], name)
        for name, data in launches(deployment).items():
            (tags,) = (s["Tags"] for s in data["TagSpecifications"] if s["ResourceType"] == "volume")
            self.assertNotIn(target, tags, name)
        # By the copied tag the role may delete them, and a person finds them.
        (schedule,) = details["Schedules"]
        self.assertTrue(schedule["CopyTags"])
        self.assertEqual(schedule["RetainRule"], {"Interval": "7", "IntervalUnit": "DAYS"})
        self.assertIn(target["Key"], str(deployment.properties("KafkaSnapshotRole")))

    def test_without_snapshots_there_is_no_policy(self):
        for parameters in ({}, {"KafkaBootstrapServers": "broker:9092"}):
            self.assertEqual(deployed(**parameters).of_type("AWS::DLM::LifecyclePolicy"), {})
            self.assertNotIn("KafkaSnapshotRole", deployed(**parameters).resources)
        for parameters in ({"KafkaSnapshotDays": "7"}, {"KafkaSnapshotIds": "snap-1"}):
            self.assertIn("stack's own brokers", deployed(**MSK, **parameters).refusals()[0])

    def test_each_broker_has_its_own_snapshot(self):
        given = deployed(KafkaBrokers="3", KafkaSnapshotIds="snap-1,snap-2,snap-3")
        for number in (1, 2, 3):
            self.assertEqual(given.properties(f"KafkaVolume{number}")["SnapshotId"], f"snap-{number}")
            self.assertNotIn("SnapshotId", deployed(KafkaBrokers="3").properties(f"KafkaVolume{number}"))

    def test_no_parameter_replaces_a_volume(self):
        """CloudFormation knows no property of a volume whose change makes a new one: a stack keeps its records."""
        before, after = deployed(), deployed(KafkaSnapshotIds="snap-1", KmsKeyArn=KEY)
        self.assertEqual(replacing("AWS::EC2::Volume", *(d.properties("KafkaVolume1") for d in (before, after))), set())

    def test_a_budget_mails_the_operator(self):
        budget = deployed(**WHOLE).properties("Budget")
        self.assertEqual(budget["Budget"]["CostFilters"], {"TagKeyValue": ["aws:cloudformation:stack-name$ticklake"]})
        self.assertEqual(budget["Budget"]["BudgetLimit"], {"Amount": "100", "Unit": "USD"})
        notifications = [(n["Notification"]["NotificationType"], n["Notification"]["Threshold"]) for n in budget["NotificationsWithSubscribers"]]
        self.assertEqual(notifications, [("ACTUAL", 80), ("FORECASTED", 100)])
        for notification in budget["NotificationsWithSubscribers"]:
            self.assertEqual(notification["Subscribers"], [{"SubscriptionType": "EMAIL", "Address": "you@example.com"}])
        self.assertEqual(deployed().of_type("AWS::Budgets::Budget"), {})
        self.assertIn("needs OperatorEmail", deployed(MonthlyBudgetUSD="100").refusals()[0])

    def test_the_budgets_mails_can_go_to_another_address(self):
        """That replaces the budget, which CloudFormation refuses if the new one has the name of the old one."""
        before, after = (deployed(**{**WHOLE, "OperatorEmail": address}).properties("Budget") for address in ("a@example.com", "b@example.com"))
        self.assertEqual(replacing("AWS::Budgets::Budget", before, after), {"NotificationsWithSubscribers"})
        self.assertNotEqual(before["Budget"]["BudgetName"], after["Budget"]["BudgetName"])


if __name__ == "__main__":
    unittest.main()
