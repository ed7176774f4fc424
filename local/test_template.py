"""Deployments that AWS refuses, or that break the next one, seen in the template alone. `cargo xtask test "template"` runs them."""

import pathlib
import unittest

from evaluated_template import EvaluatedTemplate
from translate_template import translate

ROOT = pathlib.Path(__file__).parent.parent
TEMPLATE = translate(ROOT / "template.yaml")
# Parameters that a person may choose together.
DEPLOYMENTS = [
    {},
    {"KafkaBrokers": "3", "Producer": "synthetic"},
    {"KafkaBootstrapServers": "broker:9092", "Endpoints": "interface"},
    {"KafkaBootstrapServers": "broker:9098", "KafkaSecurity": "msk-iam", "MskClusterArn": "arn:aws:kafka:us-east-1:1:cluster/c/1"},
    {"VpcId": "vpc-1", "SubnetIds": "subnet-1,subnet-2,subnet-3", "SubnetZones": "a,b,c", "KafkaBrokers": "3"},
    {"CrawlerMode": "inferred", "CrawlOn": "every-file", "LakeFormat": "csv"},
    {"Consumers": "0", "ExistingBucket": "lake", "RawDataDays": "30"},
]


def deployed(**parameters):
    return EvaluatedTemplate(TEMPLATE, **parameters)


class Template(unittest.TestCase):
    def test_nothing_refers_to_what_a_condition_leaves_out(self):
        for parameters in DEPLOYMENTS:
            with self.subTest(parameters):
                self.assertEqual(deployed(**parameters).refusals(), [])
                self.assertEqual(deployed(**parameters).dangling(), [])

    def test_a_bare_deployment_is_not_refused(self):
        self.assertEqual(deployed().refusals(), [])
        self.assertEqual(deployed(KafkaSecurity="tls").refusals()[0][:46], "The stack's own Kafka is KafkaSecurity=plainte")

    def test_no_deployment_replaces_brokers_for_a_newer_image(self):
        """The text that EC2 resolves at launch stays what it is; an image that CloudFormation looks up changes."""
        for name, template in deployed(KafkaBrokers="3").of_type("AWS::EC2::LaunchTemplate").items():
            if name.startswith("Kafka"):
                self.assertRegex(template["LaunchTemplateData"]["ImageId"], "^resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-")
        given = deployed(KafkaImageId="ami-0123456789abcdef0").properties("Kafka1Template")["LaunchTemplateData"]
        self.assertEqual(given["ImageId"], "ami-0123456789abcdef0")

    def test_mails_immediate_has_a_window_for_its_batches(self):
        """Lambda refuses a batch size above 10 without a window of at least a second."""
        for mails in ("digest", "immediate"):
            for name, source in deployed(Mails=mails).of_type("AWS::Lambda::EventSourceMapping").items():
                if source["BatchSize"] > 10:
                    self.assertGreaterEqual(source["MaximumBatchingWindowInSeconds"], 1, f"{name} with Mails={mails}")


if __name__ == "__main__":
    unittest.main()
