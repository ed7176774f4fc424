use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use aws_config::sts::AssumeRoleProvider;
use aws_sdk_s3::config::{Credentials, ProvideCredentials as _};
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Aws;

const TOKEN: &str = "token";
const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";

/// The instance metadata service of one instance, version 2: its identity and its role's
/// credentials. ministack's own service gives credentials that ministack then refuses.
pub struct Imds {
    url: String,
    acceptor: JoinHandle<()>,
}

struct Facts {
    aws: Aws,
    instance: String,
    role: String,
}

impl Imds {
    /// Serves an instance with a role on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(aws: &Aws, instance: &str, role: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        // botocore wants the slash.
        let url = format!("http://{}/", listener.local_addr()?);
        let facts = Arc::new(Facts {
            aws: aws.clone(),
            instance: instance.to_owned(),
            role: role.to_owned(),
        });
        Ok(Self {
            url,
            acceptor: tokio::spawn(accept(listener, facts)),
        })
    }

    /// Returns the service's URL, for `AWS_EC2_METADATA_SERVICE_ENDPOINT`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Imds {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// Returns credentials of a role.
///
/// # Errors
/// There is no such role.
pub(crate) async fn assume(aws: &Aws, role: &str) -> Result<Credentials> {
    let arn = format!("arn:aws:iam::000000000000:role/{role}");
    let provider = AssumeRoleProvider::builder(arn)
        .session_name("instance")
        .configure(aws.config())
        .build()
        .await;
    provider
        .provide_credentials()
        .await
        .with_context(|| format!("AssumeRole {role}"))
}

async fn accept(listener: TcpListener, facts: Arc<Facts>) {
    while let Ok((stream, _)) = listener.accept().await {
        let facts = Arc::clone(&facts);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&facts)));
            // The instance may be killed at any moment.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>, facts: Arc<Facts>) -> Result<Response<Full<Bytes>>> {
    let is_known = request
        .headers()
        .get(TOKEN_HEADER)
        .is_some_and(|token| token == TOKEN);
    let path = request.uri().path().replace("//", "/");
    let path = path.trim_end_matches('/');
    let credentials = format!("/latest/meta-data/iam/security-credentials/{}", facts.role);
    let (status, text) = match path {
        "/latest/api/token" if request.method() == Method::PUT => {
            (StatusCode::OK, TOKEN.to_owned())
        }
        _ if !is_known => (StatusCode::UNAUTHORIZED, String::new()),
        "/latest/meta-data/instance-id" => (StatusCode::OK, facts.instance.clone()),
        "/latest/meta-data/local-ipv4" => (StatusCode::OK, "127.0.0.1".to_owned()),
        "/latest/meta-data/placement/region" => (StatusCode::OK, "us-east-1".to_owned()),
        "/latest/meta-data/iam/security-credentials" => (StatusCode::OK, facts.role.clone()),
        path if path == credentials => {
            let credentials = assume(&facts.aws, &facts.role).await?;
            let expires = credentials
                .expiry()
                .unwrap_or_else(|| SystemTime::now() + Duration::from_secs(3_600));
            let document = json!({
                "Code": "Success",
                "Type": "AWS-HMAC",
                "LastUpdated": DateTime::from(SystemTime::now()).fmt(DateTimeFormat::DateTime)?,
                "AccessKeyId": credentials.access_key_id(),
                "SecretAccessKey": credentials.secret_access_key(),
                "Token": credentials.session_token(),
                "Expiration": DateTime::from(expires).fmt(DateTimeFormat::DateTime)?,
            });
            (StatusCode::OK, document.to_string())
        }
        _ => (StatusCode::NOT_FOUND, String::new()),
    };
    let mut response = Response::builder().status(status);
    // The SDKs require this header.
    if request.method() == Method::PUT {
        response = response.header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
    }
    Ok(response.body(Full::new(Bytes::from(text)))?)
}
