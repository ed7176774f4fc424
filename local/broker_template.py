"""Makes of a built template one that the local AWS takes with brokers of the stack's own: it refuses two types of resources, which are left out, and the volume is given.

usage: broker_template.py TEMPLATE VOLUME OUTPUT
"""

import json
import sys

from samcli.yamlhelper import yaml_parse

REFUSED = ("AWS::EC2::Volume", "AWS::EC2::SecurityGroupIngress")


def give(value, volume):
    """Replaces references to the first broker's volume."""
    if value == {"Ref": "KafkaVolume1"}:
        return volume
    if isinstance(value, dict):
        return {key: give(item, volume) for key, item in value.items()}
    if isinstance(value, list):
        return [give(item, volume) for item in value]
    return value.replace("${KafkaVolume1}", volume) if isinstance(value, str) else value


source, volume, output = sys.argv[1:]
with open(source, encoding="utf-8") as text:
    template = yaml_parse(text.read())
for name in [name for name, resource in template["Resources"].items() if resource["Type"] in REFUSED]:
    del template["Resources"][name]
template["Resources"] = give(template["Resources"], volume)
# Those of the second and third broker are behind a condition, and have to name something all the same.
rest = json.dumps(template).replace("${KafkaVolume2}", volume).replace("${KafkaVolume3}", volume)
with open(output, "w", encoding="utf-8") as text:
    text.write(rest)
