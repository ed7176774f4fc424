"""The template with given parameters: which rules refuse them, which resources exist, and what their properties are."""

import re


class EvaluatedTemplate:
    """`template` is translated. The other parameters have their defaults. References to resources stay."""

    def __init__(self, template, stack="ticklake", **given):
        unknown = given.keys() - template["Parameters"].keys()
        if unknown:
            raise KeyError(f"the template has no parameters {unknown}")
        self.template = template
        self.stack = stack
        self.parameters = {name: given.get(name, parameter.get("Default")) for name, parameter in template["Parameters"].items()}
        self.resources = self.existing("Resources")

    def existing(self, section):
        """Returns the items of a section that no condition leaves out."""
        items = self.template[section].items()
        return {name: self.value(item) for name, item in items if "Condition" not in item or self.holds({"Condition": item["Condition"]})}

    def outputs(self):
        """Returns the values of the outputs."""
        return {name: output["Value"] for name, output in self.existing("Outputs").items()}

    def refusals(self):
        """Returns the descriptions of the rules that refuse the parameters."""
        applying = [rule for rule in self.template["Rules"].values() if self.holds(rule.get("RuleCondition", True))]
        return [a["AssertDescription"] for rule in applying for a in rule["Assertions"] if not self.holds(a["Assert"])]

    def properties(self, name):
        """Returns a resource's properties."""
        return self.resources[name]["Properties"]

    def of_type(self, kind):
        """Returns the properties of all resources of a type, by their names."""
        return {name: resource.get("Properties", {}) for name, resource in self.resources.items() if resource["Type"] == kind}

    def dangling(self):
        """Returns the references of existing resources to resources that do not exist."""
        everything = self.resources | self.outputs()
        named = {(name, other) for name, item in everything.items() for other in references(item)}
        missing = self.template["Resources"].keys() - self.resources.keys()
        return sorted((name, other) for name, other in named if other in missing)

    def holds(self, condition):
        """Evaluates a condition, also with the functions that only rules have."""
        if isinstance(condition, bool):
            return condition
        ((function, arguments),) = condition.items()
        match function:
            case "Condition":
                return self.holds(self.template["Conditions"][arguments])
            case "Fn::Equals":
                first, second = (str(self.value(argument)) for argument in arguments)
                return first == second
            case "Fn::Contains":
                return str(self.value(arguments[1])) in [str(item) for item in self.value(arguments[0])]
            case "Fn::And":
                return all(self.holds(argument) for argument in arguments)
            case "Fn::Or":
                return any(self.holds(argument) for argument in arguments)
            case "Fn::Not":
                return not self.holds(arguments[0])
        raise ValueError(f"{function} is not the function of a condition")

    def value(self, value):
        """Resolves parameters and conditions. Leaves out the properties with AWS::NoValue."""
        if isinstance(value, list):
            return [item for item in (self.value(item) for item in value) if item is not None]
        if not isinstance(value, dict):
            return value
        match list(value.items()):
            case [("Fn::If", [condition, yes, no])]:
                return self.value(yes if self.holds({"Condition": condition}) else no)
            case [("Ref", "AWS::NoValue")]:
                return None
            case [("Ref", name)] if name in self.parameters:
                return self.parameter(name)
            case [("Ref", "AWS::StackName")]:
                return self.stack
            case [("Fn::FindInMap", keys)]:
                name, first, second = (self.value(key) for key in keys)
                return self.template["Mappings"][name][first][second]
            case [("Fn::Sub", text)]:
                return self.substitute(text)
            case [("Fn::Join", [between, parts])]:
                parts = self.value(parts)
                return between.join(parts) if all(isinstance(part, str) for part in parts) else {"Fn::Join": [between, parts]}
            case [("Fn::Split", [between, text])]:
                text = self.value(text)
                return text.split(between) if isinstance(text, str) else {"Fn::Split": [between, text]}
            case [("Fn::Select", [index, items])]:
                items = self.value(items)
                return items[int(index)] if isinstance(items, list) else {"Fn::Select": [index, items]}
        return {key: item for key, item in ((key, self.value(item)) for key, item in value.items()) if item is not None}

    def parameter(self, name):
        value = str(self.parameters[name])
        is_list = self.template["Parameters"][name]["Type"] == "CommaDelimitedList"
        return [item for item in value.split(",") if item] if is_list else value

    def substitute(self, text):
        text, variables = text if isinstance(text, list) else (text, {})
        for name in re.findall(r"\$\{([^!}]+)\}", text):
            value = self.value(variables[name]) if name in variables else self.value({"Ref": name})
            if isinstance(value, str):
                text = text.replace(f"${{{name}}}", value)
            elif name in variables:
                text = text.replace(f"${{{name}}}", "".join(f"${{{other}}}" for other in references(value)))
        return text


def listed(value):
    """Returns a list; a policy may have a single value in its place."""
    return value if isinstance(value, list) else [value]


def references(value):
    """Yields the names of the resources that a value refers to."""
    if isinstance(value, str):
        yield from (name.split(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", value))
    elif isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref":
                yield item
            elif key == "Fn::GetAtt":
                yield item[0] if isinstance(item, list) else item.split(".")[0]
            elif key == "DependsOn":
                yield from [item] if isinstance(item, str) else item
            else:
                yield from references(item)
