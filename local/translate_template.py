"""Translates a SAM template to plain CloudFormation, offline, so that cfn-lint can read it.

usage: translate_template.py TEMPLATE OUTPUT
"""

import json
import os
import sys

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform


class NoManagedPolicies:
    """Keeps the translator from asking IAM for managed policies."""

    def load(self):
        return {}


def translate(path):
    """Returns the template as plain CloudFormation."""
    with open(path, encoding="utf-8") as source:
        template = yaml_parse(source.read())
    for resource in template["Resources"].values():
        # Local code has to be somewhere in S3 for the translator.
        for uri in ("CodeUri", "ContentUri"):
            if uri in resource.get("Properties", {}):
                resource["Properties"][uri] = "s3://bucket/key"
    # The translator requires a region.
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    return transform(template, {}, NoManagedPolicies())


if __name__ == "__main__":
    with open(sys.argv[2], "w", encoding="utf-8") as output:
        json.dump(translate(sys.argv[1]), output, indent=1)
