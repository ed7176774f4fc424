"""docs/deployer-policy allows the calls of a deployment and no others. `cargo xtask test "template"` runs this.

What a resource type takes comes from its CloudFormation schema: the permissions that its handlers call for.
"""

import fnmatch
import json
import unittest

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from evaluated_template import listed
from test_template import ROOT, TEMPLATE

FILES = sorted((ROOT / "docs/deployer-policy").glob("*.json"))
# As long as names may reasonably get: a policy that fits with these fits.
NAMES = {
    "ACCOUNT": "123456789012",
    "REGION": "ap-southeast-1",
    "DATABASE": "a_stack_whose_name_has_32_letters",
    "LAKE": "a-stack-whose-name-has-32-letters-lakebucket-*",
    "STACK": "a-stack-whose-name-has-32-letters",
}
# Most characters of a managed policy, without white space (IAM and AWS STS quotas).
MANAGED_POLICY = 6144

# Types whose schema names no permissions.
UNREGISTERED = {
    "AWS::Budgets::Budget": ["budgets:ViewBudget", "budgets:ModifyBudget", "budgets:TagResource"],
    "AWS::DLM::LifecyclePolicy": ["dlm:TagResource", *(f"dlm:{verb}LifecyclePolicy" for verb in ("Create", "Get", "Update", "Delete"))],
    "AWS::Glue::Table": [f"glue:{verb}Table" for verb in ("Create", "Get", "Update", "Delete")],
    "AWS::Route53::RecordSet": ["route53:ChangeResourceRecordSets", "route53:ListResourceRecordSets", "route53:GetChange"],
}
# Calls beside the handlers': a group's rolling update, the images' parameters, the SAM CLI's own.
BESIDE = {
    "AWS::AutoScaling::AutoScalingGroup": [f"autoscaling:{call}" for call in ("SuspendProcesses", "ResumeProcesses", "TerminateInstanceInAutoScalingGroup")],
    "AWS::EC2::LaunchTemplate": ["ssm:GetParameters"],
    "SAM's stacks": [
        f"cloudformation:{call}"
        for call in """CreateChangeSet DescribeChangeSet ListChangeSets ExecuteChangeSet DescribeStacks DescribeStackEvents
            GetTemplate GetTemplateSummary DeleteStack TagResource UntagResource""".split()
    ],
    # `sam delete` looks for a stack of images, which there is none of.
    "SAM's stack of images": ["cloudformation:DescribeStacks"],
    "SAM's transform": ["cloudformation:CreateChangeSet"],
    "SAM's bucket": [
        f"s3:{call}"
        for call in """CreateBucket GetBucketPolicy PutBucketPolicy PutBucketPublicAccessBlock PutEncryptionConfiguration PutBucketVersioning
            PutBucketTagging TagResource GetBucketLocation ListBucket""".split()
    ],
    "SAM's artifacts": [f"s3:{call}" for call in "GetObject GetObjectVersion GetObjectTagging PutObject AbortMultipartUpload DeleteObject".split()],
}

# Permissions of handlers that a deployment does without, as the template sets no such property.
NOT_USED = {
    # Spark, and results under a key.
    "AWS::Athena::WorkGroup": "iam:* kms:*",
    # Fleets, load balancers, hooks, notifications, metrics of the group; of SSM only the images.
    "AWS::AutoScaling::AutoScalingGroup": """managed-fleets:* vpc-lattice:* elasticloadbalancing:* autoscaling:*LoadBalancer*
        autoscaling:*TrafficSources autoscaling:*LifecycleHook autoscaling:*InstanceRefresh autoscaling:*NotificationConfiguration
        autoscaling:*MetricsCollection cloudwatch:* ec2:Get* ssm:Get*""",
    "AWS::EC2::NetworkInterface": "ec2:*Ipv6Addresses ec2:*PrivateIpAddresses ec2:ModifyPublicIpDnsNameOptions",
    "AWS::EC2::Subnet": "ec2:*SubnetCidrBlock",
    "AWS::EC2::VPC": "ec2:CreateVpcEncryptionControl ec2:ModifyVpcTenancy",
    "AWS::EC2::VPCEndpoint": "vpc-lattice:* vpce:*",
    "AWS::EC2::VPCGatewayAttachment": "ec2:AttachVpnGateway ec2:DetachVpnGateway",
    # The key policy of EBS's own key admits the account.
    "AWS::EC2::Volume": "ec2:CopyVolumes ec2:CreateSnapshot kms:*",
    # The queues' policies let the rules in.
    "AWS::Events::Rule": "iam:PassRole",
    # Federated databases.
    "AWS::Glue::Database": "glue:*Connection lakeformation:DescribeLakeFormationIdentityCenterConfiguration",
    # A person attaches the policy.
    "AWS::IAM::ManagedPolicy": "iam:AttachGroupPolicy iam:AttachUserPolicy iam:DetachGroupPolicy iam:DetachUserPolicy",
    # Whoever may take a permissions boundary away has none.
    "AWS::IAM::Role": "iam:DeleteRolePermissionsBoundary",
    # Lambda's own key encrypts.
    "AWS::Lambda::EventSourceMapping": "kms:*",
    "AWS::Lambda::Function": """elasticfilesystem:* s3files:* kms:* lambda:*FunctionConcurrency lambda:GetCodeSigningConfig
        lambda:PutFunctionCodeSigningConfig lambda:DeleteFunctionCodeSigningConfig lambda:PutRuntimeManagementConfig
        lambda:PutFunctionRecursionConfig lambda:PutFunctionScalingConfig lambda:PublishVersion lambda:PassCapacityProvider""",
    "AWS::Logs::LogGroup": """logs:PutDataProtectionPolicy logs:DeleteDataProtectionPolicy logs:CreateLogDelivery s3:REST.PUT.OBJECT firehose:*
        logs:PutResourcePolicy logs:DeleteResourcePolicy logs:PutIndexPolicy logs:DeleteIndexPolicy logs:PutLogGroupDeletionProtection
        logs:PutBearerTokenAuthentication""",
    "AWS::QuickSight::Dashboard": "quicksight:*Folder* quicksight:DescribeTemplate quicksight:DescribeTheme quicksight:UpdateDashboardLinks",
    "AWS::QuickSight::DataSet": "quicksight:*Folder* quicksight:CancelIngestion quicksight:PutDataSetRefreshProperties quicksight:DeleteDataSetRefreshProperties",
    "AWS::QuickSight::DataSource": "quicksight:*Folder*",
    "AWS::Route53::HostedZone": "route53:CreateQueryLoggingConfig route53:DeleteQueryLoggingConfig route53:UpdateHostedZoneFeatures route53:DisassociateVPCFromHostedZone",
    # What a bucket may have and the lake's has not. Objects are the consumers' to write.
    "AWS::S3::Bucket": """s3tables:* iam:PassRole s3:DeleteObject s3:PutObjectAcl s3:PutBucketAcl s3:PutBucketAbac s3:PutAnalyticsConfiguration s3:PutBucketCORS
        s3:PutInventoryConfiguration s3:PutMetricsConfiguration s3:PutBucketReplication s3:PutReplicationConfiguration s3:PutBucketWebsite
        s3:PutAccelerateConfiguration s3:Put*ObjectLockConfiguration s3:PutBucketLogging s3:PutIntelligentTieringConfiguration
        s3:CreateBucketMetadataTableConfiguration s3:DeleteBucketMetadataTableConfiguration s3:UpdateBucketMetadata*TableConfiguration
        s3:DeleteBucketWebsite s3:DeleteBucketAnalyticsConfiguration s3:DeleteBucketCors s3:DeleteBucketMetricsConfiguration
        s3:DeleteBucketEncryption s3:DeleteBucketLifecycle s3:DeleteBucketReplication""",
    # Mails need no role.
    "AWS::SNS::Subscription": "iam:*",
    "AWS::SNS::Topic": "iam:* sns:PutDataProtectionPolicy",
}

# The resources that each type's calls are about; those of EC2 and others without names of the stack's are "*".
ARNS = {
    "AWS::Athena::NamedQuery": ["arn:aws:athena:REGION:ACCOUNT:workgroup/STACK"],
    "AWS::Athena::WorkGroup": ["arn:aws:athena:REGION:ACCOUNT:workgroup/STACK", "arn:aws:s3:::LAKE", "arn:aws:s3:::LAKE/athena-results/x"],
    "AWS::AutoScaling::AutoScalingGroup": [
        "arn:aws:autoscaling:REGION:ACCOUNT:autoScalingGroup:1:autoScalingGroupName/STACK-ConsumerGroup-1",
        "arn:aws:iam::ACCOUNT:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
        "arn:aws:iam::ACCOUNT:role/STACK-ConsumerRole-1",
        "*",
    ],
    "AWS::Budgets::Budget": ["arn:aws:budgets::ACCOUNT:budget/STACK-REGION-you@example.com"],
    "AWS::CloudWatch::Alarm": ["arn:aws:cloudwatch:REGION:ACCOUNT:alarm:STACK-StalledAlarm-1"],
    "AWS::CloudWatch::Dashboard": ["arn:aws:cloudwatch::ACCOUNT:dashboard/STACK"],
    "AWS::DLM::LifecyclePolicy": ["*"],
    "AWS::EC2::*": ["*", "arn:aws:ssm:REGION::parameter/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"],
    "AWS::Events::Rule": ["arn:aws:events:REGION:ACCOUNT:rule/STACK-CrawlRule-1"],
    "AWS::Glue::Crawler": ["arn:aws:glue:REGION:ACCOUNT:crawler/STACK-ticks", "arn:aws:iam::ACCOUNT:role/STACK-CrawlerRole-1"],
    "AWS::Glue::Database": ["arn:aws:glue:REGION:ACCOUNT:database/DATABASE"],
    "AWS::Glue::Table": ["arn:aws:glue:REGION:ACCOUNT:table/DATABASE/ticks"],
    "AWS::IAM::InstanceProfile": ["arn:aws:iam::ACCOUNT:instance-profile/STACK-KafkaProfile-1", "arn:aws:iam::ACCOUNT:role/STACK-KafkaRole-1"],
    "AWS::IAM::ManagedPolicy": ["arn:aws:iam::ACCOUNT:policy/STACK-AnalystPolicy-1", "arn:aws:iam::ACCOUNT:role/STACK-KafkaRole-1"],
    "AWS::IAM::Role": ["arn:aws:iam::ACCOUNT:role/STACK-KafkaRole-1"],
    "AWS::KMS::Key": ["*"],
    "AWS::Lambda::EventInvokeConfig": ["arn:aws:lambda:REGION:ACCOUNT:function:STACK-CurateFunction-1"],
    "AWS::Lambda::EventSourceMapping": ["arn:aws:lambda:REGION:ACCOUNT:event-source-mapping:1"],
    "AWS::Lambda::Function": [
        "arn:aws:lambda:REGION:ACCOUNT:function:STACK-NotifyFunction-1",
        "arn:aws:lambda:REGION:ACCOUNT:layer:STACK-agents:1",
        "arn:aws:iam::ACCOUNT:role/STACK-NotifyRole-1",
        "arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1/1",
        "*",
    ],
    "AWS::Lambda::LayerVersion": ["arn:aws:lambda:REGION:ACCOUNT:layer:STACK-agents:1", "arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1/1"],
    "AWS::Logs::LogGroup": ["arn:aws:logs:REGION:ACCOUNT:log-group:/STACK/kafka:*", "arn:aws:logs:REGION:ACCOUNT:log-group:/aws/lambda/STACK-notify:*"],
    "AWS::QuickSight::Dashboard": ["arn:aws:quicksight:REGION:ACCOUNT:dashboard/STACK-prices", "arn:aws:quicksight:REGION:ACCOUNT:dataset/STACK-daily"],
    "AWS::QuickSight::DataSet": [f"arn:aws:quicksight:REGION:ACCOUNT:{kind}" for kind in ("dataset/STACK-daily", "datasource/STACK-athena")],
    "AWS::QuickSight::DataSource": ["arn:aws:quicksight:REGION:ACCOUNT:datasource/STACK-athena"],
    "AWS::Route53::HostedZone": ["*"],
    "AWS::Route53::RecordSet": ["arn:aws:route53:::hostedzone/1"],
    "AWS::S3::*": ["arn:aws:s3:::LAKE"],
    "AWS::Scheduler::Schedule": ["arn:aws:scheduler:REGION:ACCOUNT:schedule/default/STACK-curate", "arn:aws:iam::ACCOUNT:role/STACK-CurateScheduleRole-1"],
    "AWS::SNS::Subscription": ["*", "arn:aws:sns:REGION:ACCOUNT:STACK-NewFilesTopic-1"],
    "AWS::SNS::Topic*": ["arn:aws:sns:REGION:ACCOUNT:STACK-NewFilesTopic-1"],
    "AWS::SQS::*": ["arn:aws:sqs:REGION:ACCOUNT:STACK-CrawlQueue-1"],
    "AWS::SSM::Parameter": ["arn:aws:ssm:REGION:ACCOUNT:parameter/STACK/lake-bucket"],
    "SAM's stacks": ["arn:aws:cloudformation:REGION:ACCOUNT:stack/STACK/1", "arn:aws:cloudformation:REGION:ACCOUNT:stack/aws-sam-cli-managed-default/1"],
    "SAM's stack of images": ["arn:aws:cloudformation:REGION:ACCOUNT:stack/STACK-01a72a3f-CompanionStack/1"],
    "SAM's transform": ["arn:aws:cloudformation:REGION:aws:transform/Serverless-2016-10-31"],
    "SAM's bucket": ["arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1"],
    "SAM's artifacts": ["arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-1/1"],
}


def statements():
    return [statement for file in FILES for statement in json.loads(file.read_text(encoding="utf-8"))["Statement"]]


def fits(action, pattern):
    """IAM does not tell capitals from small letters in actions."""
    return fnmatch.fnmatchcase(action.lower(), pattern.lower())


def called(kind):
    """Returns the permissions that the handlers of a type call for."""
    if not kind.startswith("AWS::") or kind in UNREGISTERED:
        return set(UNREGISTERED.get(kind, []))
    handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema.get("handlers", {})
    return {action for verb in ("create", "read", "update", "delete") for action in handlers.get(verb, {}).get("permissions", [])}


def needed(kind):
    """Returns what a deployment calls for a type."""
    used = {action for action in called(kind) if not any(fits(action, pattern) for pattern in NOT_USED.get(kind, "").split())}
    return used | set(BESIDE.get(kind, []))


def arns(kind):
    (found,) = [found for pattern, found in ARNS.items() if fnmatch.fnmatchcase(kind, pattern)] or [None]
    return found


def allowed(action, arn):
    fitting = (s for s in statements() if any(fits(action, pattern) for pattern in listed(s["Action"])))
    return any(fnmatch.fnmatchcase(arn, resource) for s in fitting for resource in listed(s["Resource"]))


KINDS = sorted({resource["Type"] for resource in TEMPLATE["Resources"].values()} | UNREGISTERED.keys() | BESIDE.keys())


class DeployerPolicy(unittest.TestCase):
    def test_a_deployment_may_do_what_each_resource_takes(self):
        for kind in KINDS:
            with self.subTest(kind):
                self.assertIsNotNone(arns(kind), "a new type: add its ARN to ARNS here, and its actions to docs/deployer-policy")
                self.assertTrue(needed(kind), "its schema names no permissions: add them to UNREGISTERED here")
                refused = [action for action in sorted(needed(kind)) if not any(allowed(action, arn) for arn in arns(kind))]
                self.assertEqual(refused, [], "docs/deployer-policy does not allow these; add them there, or to NOT_USED here with the reason")

    def test_it_may_do_nothing_else(self):
        everything = {action for kind in KINDS for action in needed(kind)}
        granted = {pattern for statement in statements() for pattern in listed(statement["Action"])}
        self.assertEqual([pattern for pattern in sorted(granted) if not any(fits(action, pattern) for action in everything)], [])

    def test_nothing_is_left_out_that_no_handler_calls(self):
        for kind, patterns in NOT_USED.items():
            for pattern in patterns.split():
                self.assertTrue(any(fits(action, pattern) for action in called(kind)), f"{kind}: {pattern}")

    def test_resources_of_other_stacks_are_out_of_reach(self):
        """What has a name of the stack's is reached by that name; a statement about everything has a condition."""
        named = {arn for own in ARNS.values() for arn in own if any(name in arn for name in ("STACK", "LAKE", "DATABASE"))}
        for arn in named:
            other = arn.replace("STACK", "other").replace("LAKE", "other").replace("DATABASE", "other")
            resources = {resource for statement in statements() for resource in listed(statement["Resource"])} - {"*"}
            self.assertEqual([resource for resource in resources if fnmatch.fnmatchcase(other, resource)], [], other)

    def test_what_is_allowed_everywhere_has_a_condition_and_no_service_is_allowed_as_a_whole(self):
        for statement in statements():
            for pattern in listed(statement["Action"]):
                self.assertRegex(pattern, r"^[a-z0-9]+:[A-Z][A-Za-z]{2}", statement["Sid"])
            if "*" in listed(statement["Resource"]):
                self.assertTrue(statement.get("Condition"), statement["Sid"])

    def test_roles_are_passed_to_services_that_take_them(self):
        roles = [r["Properties"]["AssumeRolePolicyDocument"] for r in TEMPLATE["Resources"].values() if r["Type"] == "AWS::IAM::Role"]
        services = {statement["Principal"]["Service"] for document in roles for statement in document["Statement"]}
        (passing,) = (s for s in statements() if "iam:PassRole" in listed(s["Action"]))
        # Snapshots of volumes have a role, too.
        self.assertEqual(set(passing["Condition"]["StringEquals"]["iam:PassedToService"]), services | {"dlm.amazonaws.com"})

    def test_each_file_fits_a_managed_policy(self):
        for file in FILES:
            text = "".join(file.read_text(encoding="utf-8").split())
            for placeholder, name in NAMES.items():
                text = text.replace(placeholder, name)
            self.assertLessEqual(len(text), MANAGED_POLICY, file.name)


if __name__ == "__main__":
    unittest.main()
