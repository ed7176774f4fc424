use anyhow::Result;
use serde_json::{Value, json};

use crate::aws::call::items;
use crate::stand_ins::imds::assume;
use crate::{Aws, CallError};

/// A deployed role: its inline policy and the policies attached to it.
pub struct Role {
    aws: Aws,
    name: String,
    policy: String,
    document: Value,
    attached: Vec<Value>,
}

/// Name of the policy that [`Role::grant_what_is_misjudged`] adds.
const MISJUDGED: &str = "local-aws";

/// Actions that ministack judges by another name: `GetLayerVersion`, and the batches of
/// the others.
const JUDGED_BY_ITSELF: [(&str, &str); 3] = [
    ("lambda:GetLayerVersion", "lambda:ListLayers"),
    ("sqs:DeleteMessage", "sqs:DeleteMessageBatch"),
    ("sqs:SendMessage", "sqs:SendMessageBatch"),
];

impl Role {
    /// Reads the role's one inline policy of the template, and those attached to it.
    ///
    /// # Errors
    /// There is no such role, or it has not exactly one inline policy.
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
            attached: attached(aws, &role).await?,
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
        let (key, secret) = (credentials.access_key_id(), credentials.secret_access_key());
        let mut environment = aws.of_user(key, secret).await.environment();
        environment.push((
            "AWS_SESSION_TOKEN",
            credentials.session_token().unwrap_or_default().to_owned(),
        ));
        Ok(environment)
    }

    /// Returns every action that the policies allow.
    pub fn actions(&self) -> Vec<String> {
        self.statements()
            .flat_map(|statement| strings(&statement["Action"]))
            .collect()
    }

    fn statements(&self) -> impl Iterator<Item = &Value> {
        std::iter::once(&self.document)
            .chain(&self.attached)
            .filter_map(|document| document["Statement"].as_array())
            .flatten()
    }

    /// Denies one action to the role, even if several statements allow it.
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

    /// Gives the role the template's policy again.
    ///
    /// # Errors
    /// IAM refuses.
    pub async fn restore(&self) -> Result<()> {
        self.put(&self.policy, &self.document).await
    }

    /// Grants the permissions that ministack requires and AWS does not. ministack judges
    /// calls that name a crawler by a table of that name, and calls for a log group by
    /// its name alone. It ignores the tags of volumes and instances, and the namespace of
    /// metrics. It judges a batch of an action by another action's name.
    ///
    /// # Errors
    /// IAM refuses.
    pub async fn grant_what_is_misjudged(&self) -> Result<()> {
        let mut statements = Vec::new();
        for statement in self.statements() {
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
            // AWS also accepts `log-group:<name>:*` for the group.
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
            // ministack evaluates neither the tags of EC2's resources nor the namespace
            // of metrics.
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

/// Returns the documents of the policies attached to a role.
async fn attached(aws: &Aws, role: &Value) -> Result<Vec<Value>, CallError> {
    let listed = aws.call("iam", "list_attached_role_policies", role).await?;
    let mut documents = Vec::new();
    for policy in items(&listed["AttachedPolicies"]) {
        let arn = json!({"PolicyArn": policy["PolicyArn"]});
        let found = aws.call("iam", "get_policy", &arn).await?;
        let version = json!({
            "PolicyArn": policy["PolicyArn"],
            "VersionId": found["Policy"]["DefaultVersionId"],
        });
        let mut read = aws.call("iam", "get_policy_version", &version).await?;
        documents.push(read["PolicyVersion"]["Document"].take());
    }
    Ok(documents)
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
