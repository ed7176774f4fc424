use anyhow::Result;
use serde_json::{Value, json};

use crate::Aws;
use crate::imds::assume;

/// The inline policy of a deployed role: what its component may do.
pub struct Role {
    aws: Aws,
    name: String,
    policy: String,
    document: Value,
}

/// Name of the policy that [`Role::grant_what_is_misjudged`] adds.
const MISJUDGED: &str = "local-aws";

/// Actions whose batches AWS judges by them, and ministack by another name.
const JUDGED_BY_ITSELF: [(&str, &str); 3] = [
    ("lambda:GetLayerVersion", "lambda:ListLayers"),
    ("sqs:DeleteMessage", "sqs:DeleteMessageBatch"),
    ("sqs:SendMessage", "sqs:SendMessageBatch"),
];

impl Role {
    /// Reads the role's one inline policy of the template.
    ///
    /// # Errors
    /// There is no such role, or it has not exactly one.
    pub async fn read(aws: &Aws, name: &str) -> Result<Self> {
        let role = json!({"RoleName": name});
        let listed = aws.call("iam", "list_role_policies", &role).await?;
        let policies = strings(&listed["PolicyNames"]);
        let policies: Vec<&String> = policies.iter().filter(|name| *name != MISJUDGED).collect();
        let [policy] = policies[..] else {
            anyhow::bail!("role {name} has the policies {policies:?}, wanted one");
        };
        let one = json!({"RoleName": name, "PolicyName": policy});
        let mut read = aws.call("iam", "get_role_policy", &one).await?;
        Ok(Self {
            aws: aws.clone(),
            name: name.to_owned(),
            policy: policy.clone(),
            document: read["PolicyDocument"].take(),
        })
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the environment of a program that acts in this role.
    ///
    /// # Errors
    /// The role cannot be assumed.
    pub async fn environment(&self, aws: &Aws) -> Result<Vec<(&'static str, String)>> {
        let credentials = assume(aws, &self.name).await?;
        let of_role = |name: &'static str, own: String| match name {
            "AWS_ACCESS_KEY_ID" => credentials.access_key_id().to_owned(),
            "AWS_SECRET_ACCESS_KEY" => credentials.secret_access_key().to_owned(),
            _ => own,
        };
        let mut environment: Vec<_> = aws
            .environment()
            .into_iter()
            .map(|(name, own)| (name, of_role(name, own)))
            .collect();
        environment.push((
            "AWS_SESSION_TOKEN",
            credentials.session_token().unwrap_or_default().to_owned(),
        ));
        Ok(environment)
    }

    /// Returns every action that the policy allows.
    pub fn actions(&self) -> Vec<String> {
        let statements = self.document["Statement"].as_array().into_iter().flatten();
        statements
            .flat_map(|statement| strings(&statement["Action"]))
            .collect()
    }

    /// Takes one action from the role, whatever allows it.
    ///
    /// # Errors
    /// IAM refuses.
    pub async fn without(&self, action: &str) -> Result<()> {
        let mut document = self.document.clone();
        if let Some(statements) = document["Statement"].as_array_mut() {
            let twins = JUDGED_BY_ITSELF
                .iter()
                .filter(|(of, _)| *of == action)
                .map(|(_, twin)| *twin);
            let actions: Vec<&str> = twins.chain([action]).collect();
            statements.push(json!({"Effect": "Deny", "Action": actions, "Resource": "*"}));
        }
        self.put(&self.policy, &document).await
    }

    /// Gives the role back what the template says.
    ///
    /// # Errors
    /// IAM refuses.
    pub async fn restore(&self) -> Result<()> {
        self.put(&self.policy, &self.document).await
    }

    /// Grants what ministack asks for and AWS does not: calls that name a crawler are
    /// judged by a table of that name, a log group's by its name alone, volumes and
    /// instances without their tags, metrics without their namespace, and a batch of an
    /// action by a name of its own.
    ///
    /// # Errors
    /// IAM refuses.
    pub async fn grant_what_is_misjudged(&self) -> Result<()> {
        let mut statements = Vec::new();
        for statement in self.document["Statement"].as_array().into_iter().flatten() {
            let resources = strings(&statement["Resource"]);
            let crawlers = resources
                .iter()
                .filter(|resource| resource.contains(":crawler/"));
            let tables: Vec<String> = crawlers
                .map(|resource| resource.replace(":crawler/", ":table/"))
                .collect();
            if !tables.is_empty() {
                statements.push(
                    json!({"Effect": "Allow", "Action": statement["Action"], "Resource": tables}),
                );
            }
            // AWS takes `log-group:<name>:*` for the group, too.
            let groups: Vec<&str> = resources
                .iter()
                .filter(|arn| arn.contains(":log-group:"))
                .filter_map(|arn| arn.strip_suffix(":*"))
                .collect();
            if !groups.is_empty() {
                statements.push(
                    json!({"Effect": "Allow", "Action": statement["Action"], "Resource": groups}),
                );
            }
            // It knows no tags of what EC2 is asked to work on, and no namespace of
            // metrics.
            let condition = statement["Condition"].to_string();
            if condition.contains("aws:ResourceTag") || condition.contains("cloudwatch:namespace") {
                statements.push(
                    json!({"Effect": "Allow", "Action": statement["Action"], "Resource": "*"}),
                );
            }
            let actions = strings(&statement["Action"]);
            for (_, twin) in JUDGED_BY_ITSELF
                .iter()
                .filter(|(of, _)| actions.iter().any(|action| action == of))
            {
                let resources = if twin.contains(":List") {
                    vec!["*".to_owned()]
                } else {
                    resources.clone()
                };
                statements.push(json!({"Effect": "Allow", "Action": twin, "Resource": resources}));
            }
        }
        if statements.is_empty() {
            Ok(())
        } else {
            self.put(
                MISJUDGED,
                &json!({"Version": "2012-10-17", "Statement": statements}),
            )
            .await
        }
    }

    async fn put(&self, policy: &str, document: &Value) -> Result<()> {
        let put = json!({
            "RoleName": self.name, "PolicyName": policy, "PolicyDocument": document.to_string(),
        });
        self.aws.call("iam", "put_role_policy", &put).await?;
        Ok(())
    }
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(several) => several
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}
