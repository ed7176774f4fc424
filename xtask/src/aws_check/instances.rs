use anyhow::Result;
use serde_json::{Value, json};
use wording::count;

use super::answer::{items, text};
use super::outcome::Outcome;
use super::stack::Stack;

/// Returns the Auto Scaling groups of the stack.
async fn groups(stack: &Stack) -> Result<Vec<Value>> {
    let names = stack.of_type("AWS::AutoScaling::AutoScalingGroup");
    if names.is_empty() {
        // Without names the call is about every group of the account.
        return Ok(Vec::new());
    }
    let (names, operation) = (
        json!({"AutoScalingGroupNames": names}),
        "describe_auto_scaling_groups",
    );
    Ok(stack
        .account
        .pages("autoscaling", operation, names, "AutoScalingGroups")
        .await?)
}

/// Returns the ids of the stack's instances, or the outcome of a step that has none to
/// look at.
async fn instances(stack: &Stack) -> Result<Result<Vec<String>, Outcome>> {
    let groups = groups(stack).await?;
    let instances = groups.iter().flat_map(|group| items(&group["Instances"]));
    let ids: Vec<String> = instances
        .map(|instance| text(&instance["InstanceId"]).to_owned())
        .collect();
    Ok(if ids.is_empty() {
        Err(without_instances(&groups))
    } else {
        Ok(ids)
    })
}

fn desired(group: &Value) -> u64 {
    group["DesiredCapacity"].as_u64().unwrap_or_default()
}

fn without_instances(groups: &[Value]) -> Outcome {
    match groups.iter().map(desired).sum::<u64>() {
        0 => Outcome::LeftOut("the stack wants no instances".to_owned()),
        wanted => Outcome::of(
            false,
            "the groups have no instances",
            &format!("{wanted} in all"),
        ),
    }
}

/// `instances-in-service`
pub(super) async fn in_service(stack: &Stack) -> Result<Outcome> {
    Ok(judge_in_service(&groups(stack).await?, |name| {
        stack.logical(name)
    }))
}

fn judge_in_service<'a>(groups: &'a [Value], logical: impl Fn(&'a str) -> &'a str) -> Outcome {
    if groups.is_empty() {
        return without_instances(groups);
    }
    let in_service = |group: &Value| {
        let instances = items(&group["Instances"]).iter().filter(|instance| {
            instance["LifecycleState"] == "InService" && instance["HealthStatus"] == "Healthy"
        });
        instances.count() as u64
    };
    let seen = groups.iter().map(|group| {
        let name = logical(text(&group["AutoScalingGroupName"]));
        format!("{name} has {} of {}", in_service(group), desired(group))
    });
    Outcome::of(
        groups
            .iter()
            .all(|group| in_service(group) >= desired(group)),
        seen.collect::<Vec<_>>().join(", "),
        "as many instances InService and Healthy as the group's desired capacity",
    )
}

/// `instances-managed`
pub(super) async fn managed(stack: &Stack) -> Result<Outcome> {
    let ids = match instances(stack).await? {
        Ok(ids) => ids,
        Err(none) => return Ok(none),
    };
    let asked = json!({"Filters": [{"Key": "InstanceIds", "Values": ids}]});
    let operation = "describe_instance_information";
    let known = stack
        .account
        .pages("ssm", operation, asked, "InstanceInformationList")
        .await?;
    Ok(judge_managed(&ids, &known))
}

fn judge_managed(ids: &[String], known: &[Value]) -> Outcome {
    let fault = |id: &String| {
        let info = known.iter().find(|info| info["InstanceId"] == *id);
        let ping = info.map_or("unknown", |info| text(&info["PingStatus"]));
        (ping != "Online").then(|| format!("{id} is {ping}"))
    };
    Outcome::of_faults(
        &ids.iter().filter_map(fault).collect::<Vec<_>>(),
        format!("{} online", ids.len()),
        "Online to Session Manager; has the subnet a route to it, and the role ssmmessages:*?",
    )
}

/// `imds-v2`
pub(super) async fn imds_v2(stack: &Stack) -> Result<Outcome> {
    let ids = match instances(stack).await? {
        Ok(ids) => ids,
        Err(none) => return Ok(none),
    };
    let asked = json!({"InstanceIds": ids});
    let reservations = stack
        .account
        .pages("ec2", "describe_instances", asked, "Reservations")
        .await?;
    Ok(judge_imds(&reservations))
}

fn judge_imds(reservations: &[Value]) -> Outcome {
    let instances = || reservations.iter().flat_map(|one| items(&one["Instances"]));
    let fault = |instance: &Value| {
        let tokens = &instance["MetadataOptions"]["HttpTokens"];
        let id = text(&instance["InstanceId"]);
        (tokens != "required").then(|| format!("HttpTokens of {id} is {tokens}"))
    };
    Outcome::of_faults(
        &instances().filter_map(fault).collect::<Vec<_>>(),
        format!("{} with HttpTokens required", instances().count()),
        "required",
    )
}

/// `no-ingress`
pub(super) async fn no_ingress(stack: &Stack) -> Result<Outcome> {
    let asked = json!({"GroupIds": [stack.output("AgentSecurityGroupId")?]});
    let answer = stack.call("ec2", "describe_security_groups", asked).await?;
    Ok(judge_ingress(&answer["SecurityGroups"][0]))
}

fn judge_ingress(group: &Value) -> Outcome {
    let rules = group["IpPermissions"].as_array();
    let seen = rules.map_or("no security group".to_owned(), |rules| {
        count(rules.len() as u64, "ingress rule")
    });
    Outcome::of(rules.is_some_and(Vec::is_empty), seen, "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(desired: u64, instances: &[(&str, &str)]) -> Value {
        let instance = |(state, health): &(&str, &str)| {
            let id = "i-1";
            json!({"InstanceId": id, "LifecycleState": state, "HealthStatus": health})
        };
        let instances: Vec<Value> = instances.iter().map(instance).collect();
        json!({"AutoScalingGroupName": "t-ConsumerGroup-1X", "DesiredCapacity": desired,
            "Instances": instances})
    }

    #[test]
    fn an_instance_that_is_not_healthy_or_not_yet_in_service_does_not_count() {
        let judged = |state: &str, health: &str| {
            judge_in_service(&[group(1, &[(state, health)])], |_| "ConsumerGroup")
        };
        let wanted = Outcome::Ok("ConsumerGroup has 1 of 1".into());
        assert_eq!(judged("InService", "Healthy"), wanted);
        assert!(matches!(judged("Pending", "Healthy"), Outcome::Failed(_)));
        assert!(matches!(
            judged("InService", "Unhealthy"),
            Outcome::Failed(_)
        ));
    }

    #[test]
    fn only_a_stack_that_wants_instances_has_to_have_some() {
        assert!(matches!(
            without_instances(&[group(1, &[])]),
            Outcome::Failed(_)
        ));
        assert!(matches!(
            without_instances(&[group(0, &[])]),
            Outcome::LeftOut(_)
        ));
        assert!(matches!(without_instances(&[]), Outcome::LeftOut(_)));
    }

    #[test]
    fn an_instance_that_session_manager_has_lost_is_named() {
        let known = [
            json!({"InstanceId": "i-1", "PingStatus": "Online"}),
            json!({"InstanceId": "i-2", "PingStatus": "ConnectionLost"}),
        ];
        let judged = |ids: &[&str]| {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            judge_managed(&ids, &known)
        };
        assert_eq!(judged(&["i-1"]), Outcome::Ok("1 online".into()));
        let Outcome::Failed(said) = judged(&["i-1", "i-2", "i-3"]) else {
            panic!("lost instances passed")
        };
        assert!(
            said.starts_with("i-2 is ConnectionLost, i-3 is unknown; wanted"),
            "{said}"
        );
    }

    #[test]
    fn version_1_of_the_metadata_service_is_a_fault() {
        let judged = |tokens: &str| {
            let options = json!({"HttpTokens": tokens});
            let instance = json!({"InstanceId": "i-1", "MetadataOptions": options});
            judge_imds(&[json!({"Instances": [instance]})])
        };
        assert_eq!(
            judged("required"),
            Outcome::Ok("1 with HttpTokens required".into())
        );
        assert!(matches!(judged("optional"), Outcome::Failed(_)));
    }

    #[test]
    fn an_ingress_rule_is_a_fault_and_so_is_a_missing_group() {
        assert!(matches!(
            judge_ingress(&json!({"IpPermissions": []})),
            Outcome::Ok(_)
        ));
        let open = json!({"IpPermissions": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}]});
        assert!(matches!(judge_ingress(&open), Outcome::Failed(_)));
        assert!(matches!(judge_ingress(&Value::Null), Outcome::Failed(_)));
    }
}
