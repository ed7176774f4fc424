use local::CallError;

/// Returns the reason why AWS gave no answer, with the remedy if one is known.
pub(super) fn explain(error: &CallError) -> String {
    let CallError {
        service,
        code,
        message,
        ..
    } = error;
    let message = message.trim_end_matches('.');
    match code.as_str() {
        _ if is_refused(code) => {
            let action = action(error);
            if message.contains("explicit deny") {
                format!("not allowed: a policy denies {action} ({code}: {message})")
            } else {
                format!("not allowed: the credentials lack {action} ({code}: {message})")
            }
        }
        "NoCredentialsError"
        | "PartialCredentialsError"
        | "CredentialRetrievalError"
        | "ProfileNotFound" => {
            format!("no AWS credentials: {message}; log in, or set AWS_PROFILE")
        }
        "SSOTokenLoadError"
        | "UnauthorizedSSOTokenError"
        | "TokenRetrievalError"
        | "LoginTokenLoadError"
        | "LoginRefreshRequired"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "AuthFailure"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch" => format!(
            "AWS does not accept the credentials ({code}: {message}); \
             log in again, or set another AWS_PROFILE"
        ),
        "NoRegionError" => "no region is set; give --region, or set AWS_REGION".to_owned(),
        "InvalidRegionError" => {
            format!("not a region: {message}; give another --region, or set AWS_REGION")
        }
        "EndpointConnectionError"
        | "ConnectTimeoutError"
        | "ReadTimeoutError"
        | "ConnectionClosedError"
        | "ProxyConnectionError"
        | "SSLError" => format!(
            "{service} cannot be reached ({code}: {message}); \
             check the network, --region and AWS_ENDPOINT_URL"
        ),
        _ => error.to_string(),
    }
}

/// Returns true if a call was refused by a policy, or for lack of a permission.
pub(super) fn is_refused(code: &str) -> bool {
    [
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "AuthorizationError",
        "AuthorizationErrorException",
    ]
    .contains(&code)
}

/// Returns the IAM action that was refused: the one that AWS names, which may be of
/// another service (a key's `kms:Decrypt`), or else that of the operation.
fn action(error: &CallError) -> String {
    let CallError {
        service,
        operation,
        message,
        ..
    } = error;
    let named = message.split("not authorized to perform: ").nth(1);
    if let Some(action) = named.and_then(|rest| rest.split_whitespace().next()) {
        return action.to_owned();
    }
    let action = match (service.as_str(), operation.as_str()) {
        ("s3", "list_objects_v2") => "ListBucket".to_owned(),
        ("s3", "get_bucket_notification_configuration") => "GetBucketNotification".to_owned(),
        (
            "s3",
            "copy_object" | "create_multipart_upload" | "upload_part" | "complete_multipart_upload",
        ) => "PutObject".to_owned(),
        _ => operation
            .split('_')
            .map(|word| word[..1].to_uppercase() + &word[1..])
            .collect(),
    };
    format!("{service}:{action}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_call_names_the_permission_that_is_missing() {
        let cases = [
            (
                "sqs",
                "get_queue_attributes",
                "AccessDenied",
                "sqs:GetQueueAttributes",
            ),
            (
                "ec2",
                "describe_instances",
                "UnauthorizedOperation",
                "ec2:DescribeInstances",
            ),
            ("s3", "list_objects_v2", "AccessDenied", "s3:ListBucket"),
            (
                "sns",
                "get_topic_attributes",
                "AuthorizationError",
                "sns:GetTopicAttributes",
            ),
            (
                "s3",
                "complete_multipart_upload",
                "AccessDenied",
                "s3:PutObject",
            ),
        ];
        for (service, operation, code, wanted) in cases {
            let said = explain(&CallError::new(service, operation, code, "no"));
            let wanted = format!("not allowed: the credentials lack {wanted} (");
            assert!(said.starts_with(&wanted), "{said}");
        }
    }

    #[test]
    fn the_permission_that_aws_names_wins() {
        let message = "User: arn:aws:iam::111122223333:user/me is not authorized to perform: \
                       kms:GenerateDataKey on resource: arn:aws:kms:eu-central-1:1:key/k";
        let said = explain(&CallError::new("s3", "put_object", "AccessDenied", message));
        let wanted = "not allowed: the credentials lack kms:GenerateDataKey (AccessDenied: User";
        assert!(said.starts_with(wanted), "{said}");
    }

    #[test]
    fn a_policy_that_denies_is_not_a_lack() {
        let message = "User: arn:aws:iam::111122223333:user/me is not authorized to perform: \
                       glue:GetCrawler with an explicit deny in a service control policy";
        let said = explain(&CallError::new(
            "glue",
            "get_crawler",
            "AccessDeniedException",
            message,
        ));
        let wanted = "not allowed: a policy denies glue:GetCrawler (";
        assert!(said.starts_with(wanted), "{said}");
    }

    #[test]
    fn a_cause_that_stops_every_call_is_explained_with_its_remedy() {
        let cases = [
            ("NoCredentialsError", "log in, or set AWS_PROFILE"),
            ("ExpiredToken", "log in again"),
            ("NoRegionError", "give --region"),
            ("InvalidRegionError", "give another --region"),
            ("EndpointConnectionError", "check the network"),
        ];
        for (code, wanted) in cases {
            let said = explain(&CallError::new("sts", "get_caller_identity", code, "m"));
            assert!(said.contains(wanted), "{code}: {said}");
        }
        // Any other keeps the words of AWS.
        assert_eq!(
            explain(&CallError::new("sqs", "x", "InvalidAction", "m")),
            "sqs x: InvalidAction: m"
        );
    }
}
