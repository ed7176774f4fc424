"""Calls one operation of AWS and prints its answer as JSON: for services whose SDK would take
minutes to compile for a call or two. A call that fails prints its code and message as JSON on
stderr, and the exit code is 1.

usage: aws_call.py SERVICE OPERATION [PARAMETERS AS JSON]
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


def fail(code, message):
    sys.exit(json.dumps({"code": code, "message": message}))


service, operation, *parameters = sys.argv[1:]
# By default an address that does not answer is tried for five minutes.
config = Config(connect_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
try:
    client = boto3.client(service, config=config)
    answer = getattr(client, operation)(**json.loads("".join(parameters) or "{}"))
except ClientError as error:
    fail(error.response["Error"]["Code"], error.response["Error"]["Message"])
except BotoCoreError as error:
    fail(type(error).__name__, str(error))
answer.pop("ResponseMetadata", None)
print(json.dumps(answer, default=str))
