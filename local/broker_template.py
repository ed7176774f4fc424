"""Converts a built template with the stack's own brokers, so that the local AWS can deploy it. Leaves out the types that the local AWS refuses, and replaces the references to them.

usage: broker_template.py TEMPLATE GIVEN OUTPUT
  GIVEN  JSON: the value of a reference by the resource's name, the value of an attribute by name.attribute
"""

import json
import re
import sys

from samcli.yamlhelper import yaml_parse

REFUSED = ("AWS::EC2::NetworkInterface", "AWS::EC2::SecurityGroupIngress", "AWS::EC2::Volume")

source, given, output = sys.argv[1:]
given = json.loads(given)
with open(source, encoding="utf-8") as text:
    template = yaml_parse(text.read())
refused = {name for name, resource in template["Resources"].items() if resource["Type"] in REFUSED}


def instead(reference):
    """Returns the given value of a reference. A reference without one is behind a condition that does not hold, but still needs a value."""
    return given.get(reference, "none") if reference.split(".")[0] in refused else None


def give(value):
    """Replaces the references to resources that are left out."""
    if isinstance(value, list):
        return [give(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"\$\{([^}]+)\}", lambda found: instead(found[1]) or found[0], value)
    if not isinstance(value, dict):
        return value
    match list(value.items()):
        case [("Ref", name)] if instead(name):
            return instead(name)
        case [("Fn::GetAtt", [name, attribute])] if instead(f"{name}.{attribute}"):
            return instead(f"{name}.{attribute}")
    return {key: give(item) for key, item in value.items()}


template["Resources"] = {name: give(resource) for name, resource in template["Resources"].items() if name not in refused}
with open(output, "w", encoding="utf-8") as text:
    json.dump(template, text)
