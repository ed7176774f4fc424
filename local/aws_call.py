"""Calls one operation of AWS and prints its answer as JSON: for services whose SDK would take minutes to compile for a call or two.

usage: aws_call.py SERVICE OPERATION [PARAMETERS AS JSON]
"""

import json
import sys

import boto3

service, operation, *parameters = sys.argv[1:]
answer = getattr(boto3.client(service), operation)(**json.loads("".join(parameters) or "{}"))
answer.pop("ResponseMetadata", None)
print(json.dumps(answer, default=str))
