"""Translates a SAM template to plain CloudFormation, offline, so that cfn-lint can read it.

usage: translate_template.py TEMPLATE OUTPUT
"""

import json
import sys

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform


class NoManagedPolicies:
    """The template names no managed policies, and IAM is not asked for any."""

    def load(self):
        return {}


with open(sys.argv[1], encoding="utf-8") as source:
    template = yaml_parse(source.read())
for resource in template["Resources"].values():
    # Local code has to be somewhere in S3 for the translator.
    for uri in ("CodeUri", "ContentUri"):
        if uri in resource.get("Properties", {}):
            resource["Properties"][uri] = "s3://bucket/key"
translated = transform(template, {}, NoManagedPolicies())
with open(sys.argv[2], "w", encoding="utf-8") as output:
    json.dump(translated, output, indent=1)
