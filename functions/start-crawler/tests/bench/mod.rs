//! The function as a process behind a runtime API, with a lake and a crawler of a local
//! AWS, or with a Glue that follows a script.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_glue::types::{CrawlerState, CrawlerTargets, DatabaseInput, S3Target, TableInput};
use local::{Aws, FunctionProcess, Ministack, Processes, Workspace};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub const BUCKET: &str = "lake";
const NAME: &str = "ticks";

pub struct Bench {
    pub folder: TempDir,
    pub processes: Processes,
    pub ministack: Ministack,
    glue: aws_sdk_glue::Client,
}

impl Bench {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let processes = Processes::default();
        let workspace = Workspace::open(&processes, folder.path())
            .await
            .expect("the tools");
        let ministack = Ministack::start(&workspace).await.expect("ministack");
        ministack.aws.create_bucket(BUCKET).await.expect("a bucket");
        let glue = aws_sdk_glue::Client::new(ministack.aws.config());
        let database = DatabaseInput::builder()
            .name(NAME)
            .build()
            .expect("a database");
        glue.create_database()
            .database_input(database)
            .send()
            .await
            .expect("CreateDatabase");
        let table = TableInput::builder().name(NAME).build().expect("a table");
        glue.create_table()
            .database_name(NAME)
            .table_input(table)
            .send()
            .await
            .expect("CreateTable");
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": "glue.amazonaws.com"}}]});
        let role = json!({"RoleName": "crawler", "AssumeRolePolicyDocument": trust.to_string()});
        let role = ministack.aws.call("iam", "create_role", &role).await;
        let role = role.expect("CreateRole");
        let role = role["Role"]["Arn"].as_str().expect("its ARN");
        let targets = CrawlerTargets::builder()
            .s3_targets(
                S3Target::builder()
                    .path(format!("s3://{BUCKET}/ticks/"))
                    .build(),
            )
            .build();
        glue.create_crawler()
            .name(NAME)
            .role(role)
            .database_name(NAME)
            .targets(targets)
            .send()
            .await
            .expect("CreateCrawler");
        Self {
            folder,
            processes,
            ministack,
            glue,
        }
    }

    pub async fn start(&self, more: &[(&str, &str)]) -> FunctionProcess {
        start(
            &self.processes,
            &self.ministack.aws,
            more,
            &self.folder.path().join("function.log"),
        )
        .await
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("function.log")).expect("a log")
    }

    /// Expects the function to defer the messages at these places of a batch, and no
    /// other.
    pub async fn expect_deferred(
        &self,
        function: &mut FunctionProcess,
        batch: &Value,
        places: &[&str],
    ) {
        assert_eq!(deferred(function, batch).await, places, "{}", self.log());
    }

    pub async fn is_crawling(&self) -> bool {
        let answer = self
            .glue
            .get_crawler()
            .name(NAME)
            .send()
            .await
            .expect("GetCrawler");
        answer.crawler().expect("a crawler").state() == Some(&CrawlerState::Running)
    }
}

/// Starts the function with the template's settings, and more variables.
pub async fn start(
    processes: &Processes,
    aws: &Aws,
    more: &[(&str, &str)],
    log: &Path,
) -> FunctionProcess {
    let settings = [
        ("CRAWLER_NAME", NAME),
        ("GLUE_DATABASE", NAME),
        ("GLUE_TABLE", NAME),
        ("CRAWL_ON", "new-partition"),
    ];
    let environment = aws.environment().into_iter().chain(
        settings
            .iter()
            .chain(more)
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    let environment: Vec<(String, String)> = environment
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    FunctionProcess::start(
        processes,
        Path::new(env!("CARGO_BIN_EXE_start-crawler")),
        &environment,
        log,
    )
    .await
    .expect("a function")
}

/// Returns the payload that Lambda gives the function: a message for each object, sent
/// now. The message's place is its id.
pub fn batch(receives: u32, objects: &[(&str, Option<&str>)]) -> Value {
    let sent = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time")
        .as_millis()
        .to_string();
    let message = |(place, (key, version)): (usize, &(&str, Option<&str>))| {
        let object = json!({"key": key, "size": 3, "etag": "e", "version-id": version});
        let event = json!({
            "source": "aws.s3",
            "detail-type": "Object Created",
            "time": "2026-11-21T05:00:01Z",
            "detail": {"bucket": {"name": BUCKET}, "object": object},
        });
        json!({
            "eventSource": "aws:sqs",
            "messageId": place.to_string(),
            "body": event.to_string(),
            "attributes": {
                "SentTimestamp": sent,
                "ApproximateReceiveCount": receives.to_string(),
            },
        })
    };
    json!({"Records": objects.iter().enumerate().map(message).collect::<Vec<_>>()})
}

/// Returns the places of the messages that the function does not acknowledge.
pub async fn deferred(function: &mut FunctionProcess, batch: &Value) -> Vec<String> {
    let answer = function
        .invoke(batch)
        .await
        .expect("an answer")
        .expect("a batch response");
    let failures = answer["batchItemFailures"].as_array().expect("failures");
    failures
        .iter()
        .map(|failure| {
            failure["itemIdentifier"]
                .as_str()
                .expect("an id")
                .to_owned()
        })
        .collect()
}

/// Starts a Glue for answers that ministack never gives. It gives these answers, each
/// once, to calls of these operations in this order, and refuses every other call.
pub async fn scripted_glue(answers: Vec<(&'static str, Value)>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let mut answers = answers.into_iter().peekable();
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let head = request(&mut stream).await.expect("a request");
            let answer = answers.next_if(|(operation, _)| {
                head.contains(&format!(
                    "x-amz-target: awsglue.{}\r\n",
                    operation.to_lowercase()
                ))
            });
            let (status, body) =
                answer.map_or(("400 Bad Request", json!({})), |(_, body)| ("200 OK", body));
            let body = body.to_string();
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            stream
                .write_all(answer.as_bytes())
                .await
                .expect("an answer");
        }
    });
    url
}

/// Reads a request to its end and returns its head in lower case.
async fn request(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut text = Vec::new();
    loop {
        let read = String::from_utf8_lossy(&text).to_lowercase();
        if let Some((head, body)) = read.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return Ok(format!("{head}\r\n"));
            }
        }
        if stream.read_buf(&mut text).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}
