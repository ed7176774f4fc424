use anyhow::Result;
use serde_json::{Value, json};

use super::answer::{items, text};
use super::outcome::Outcome;
use super::stack::Stack;

fn no_brokers() -> Outcome {
    Outcome::LeftOut(
        "the stack has no brokers of its own (KafkaBootstrapServers is given)".to_owned(),
    )
}

/// `broker-image`
pub(super) async fn image(stack: &Stack) -> Result<Outcome> {
    let Some(template) = stack.optional_output("KafkaTemplateId") else {
        return Ok(no_brokers());
    };
    if !stack.parameter("KafkaImageId")?.is_empty() {
        return Ok(Outcome::LeftOut("KafkaImageId names the image".to_owned()));
    }
    let asked = json!({"LaunchTemplateId": template, "Versions": ["$Latest"]});
    let answer = stack
        .call("ec2", "describe_launch_template_versions", asked)
        .await?;
    Ok(judge_image(
        &answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]["ImageId"],
    ))
}

fn judge_image(image: &Value) -> Outcome {
    let is_looked_up = text(image).starts_with("resolve:ssm:");
    Outcome::of(is_looked_up, format!("ImageId is {image}"), "resolve:ssm:…")
}

/// `brokers-registered`
pub(super) async fn registered(stack: &Stack) -> Result<Outcome> {
    if stack.optional_output("KafkaTemplateId").is_none() {
        return Ok(no_brokers());
    }
    let zone = json!({"HostedZoneId": stack.resource("KafkaZone")?});
    let records = stack
        .call("route53", "list_resource_record_sets", zone)
        .await?;
    let asked = json!({"NetworkInterfaceIds": stack.of_type("AWS::EC2::NetworkInterface")});
    let interfaces = stack
        .call("ec2", "describe_network_interfaces", asked)
        .await?;
    Ok(judge_registered(
        stack.output("BootstrapServers")?,
        items(&records["ResourceRecordSets"]),
        items(&interfaces["NetworkInterfaces"]),
    ))
}

fn judge_registered(bootstrap: &str, records: &[Value], interfaces: &[Value]) -> Outcome {
    let hosts = bootstrap
        .split(',')
        .filter_map(|broker| broker.split(':').next());
    let (mut faults, mut seen) = (Vec::new(), Vec::new());
    for host in hosts {
        match instance(host, records, interfaces) {
            Ok(instance) => seen.push(instance),
            Err(fault) => faults.push(fault),
        }
    }
    Outcome::of_faults(
        &faults,
        seen.join(", "),
        "each broker's name at a network interface that is attached to an instance",
    )
}

/// Returns the instance at a host's address, or the reason why there is none.
fn instance(host: &str, records: &[Value], interfaces: &[Value]) -> Result<String, String> {
    let is_hosts = |record: &&Value| {
        record["Type"] == "A" && text(&record["Name"]).trim_end_matches('.') == host
    };
    let record = records
        .iter()
        .find(is_hosts)
        .ok_or(format!("{host} has no address"))?;
    let address = text(&record["ResourceRecords"][0]["Value"]);
    let interface = interfaces
        .iter()
        .find(|interface| interface["PrivateIpAddress"] == address)
        .ok_or(format!(
            "{host} is {address}, which is not an interface of the stack"
        ))?;
    if interface["Status"] != "in-use" {
        let status = text(&interface["Status"]);
        return Err(format!("{host} is {address}, whose interface is {status}"));
    }
    Ok(format!(
        "{host} is {address} at {}",
        text(&interface["Attachment"]["InstanceId"])
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No local stack has brokers of its own: only the template shows that the names
    /// hold.
    #[test]
    fn the_names_that_the_steps_look_for_are_in_the_template() {
        let template = include_str!("../../../template.yaml");
        for name in [
            "KafkaImageId",
            "KafkaZone",
            "KafkaTemplateId",
            "BootstrapServers",
        ] {
            assert!(template.contains(&format!("\n  {name}:\n")), "{name}");
        }
        assert!(template.contains("\n    Type: AWS::EC2::NetworkInterface\n"));
    }

    #[test]
    fn an_image_that_is_not_looked_up_at_launch_is_a_fault() {
        let parameter =
            "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
        assert!(matches!(judge_image(&json!(parameter)), Outcome::Ok(_)));
        assert!(matches!(
            judge_image(&json!("ami-0123456789abcdef0")),
            Outcome::Failed(_)
        ));
        assert!(matches!(judge_image(&Value::Null), Outcome::Failed(_)));
    }

    #[test]
    fn a_broker_without_an_instance_is_named() {
        let record = |name: &str, address: &str| {
            let records = [json!({"Value": address})];
            json!({"Name": name, "Type": "A", "TTL": 300, "ResourceRecords": records})
        };
        let interface = |status: &str| {
            json!({"PrivateIpAddress": "10.0.0.9", "Status": status,
                "Attachment": {"InstanceId": "i-1"}})
        };
        let records = [
            record("kafka-1.t.internal.", "10.0.0.9"),
            record("kafka-2.t.internal.", "10.0.1.9"),
        ];
        assert_eq!(
            judge_registered("kafka-1.t.internal:9092", &records, &[interface("in-use")]),
            Outcome::Ok("kafka-1.t.internal is 10.0.0.9 at i-1".into())
        );
        let all = "kafka-1.t.internal:9092,kafka-2.t.internal:9092,kafka-3.t.internal:9092";
        let wanted = "kafka-1.t.internal is 10.0.0.9, whose interface is available, \
                      kafka-2.t.internal is 10.0.1.9, which is not an interface of the stack, \
                      kafka-3.t.internal has no address; wanted ";
        let Outcome::Failed(said) = judge_registered(all, &records, &[interface("available")])
        else {
            panic!("brokers without instances passed")
        };
        assert!(said.starts_with(wanted), "{said}");
    }
}
