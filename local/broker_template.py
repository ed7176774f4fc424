"""Makes of a built template one that the local AWS takes with brokers of the stack's own: types that it refuses are left out, and what stands for them is given.

usage: broker_template.py TEMPLATE GIVEN OUTPUT
  GIVEN  JSON: for a resource's name what a reference to it gives, for name.attribute an attribute
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
    """Returns what is given for a reference. What nothing is given for is behind a condition that does not hold, and has to be something all the same."""
    return given.get(reference, "none") if reference.split(".")[0] in refused else None


def give(value):
    """Replaces references to what is left out."""
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
