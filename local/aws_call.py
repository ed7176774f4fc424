"""Calls operations of AWS: for services whose SDK would take minutes to compile for a call or two.
Reads one call from each line, as JSON. Writes one line for each: the answer, or the code and message
of the error.

usage: aws_call.py
  {"service": "ec2", "operation": "describe_volumes", "parameters": {}}  names as in boto3
"""

import functools
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

# By default an address that does not answer is tried for five minutes.
CONFIG = Config(connect_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
client = functools.cache(functools.partial(boto3.client, config=CONFIG))


def call(service, operation, parameters):
    """Returns what is written for a call."""
    try:
        answer = getattr(client(service), operation)(**parameters)
    except ClientError as error:
        return {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
    except Exception as error:
        return {"code": type(error).__name__, "message": str(error)}
    answer.pop("ResponseMetadata", None)
    return {"answer": answer}


def as_text(value):
    """Returns the text of a time, or of a body, which is a stream."""
    return value.read().decode() if hasattr(value, "read") else str(value)


for line in sys.stdin:
    print(json.dumps(call(**json.loads(line)), default=as_text), flush=True)
