//! Runs the producer as a process against librdkafka's mock cluster: bad input, bad
//! settings, outages, signals.

#![allow(clippy::expect_used, reason = "a test says what it expected")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use local::{Kafka, KafkaKind, Processes, Repository};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

const HEADER: &str = "Index,Date,Open,High,Low,Close,Adj Close,Volume,CloseUSD\n";
const ROW: &str = "HSI,2010-01-08,1,2,0.5,1.5,1.5,10,0.2\n";
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

struct Bench {
    folder: TempDir,
    kafka: Kafka,
    processes: Processes,
}

struct Outcome {
    succeeded: bool,
    output: String,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let processes = Processes::default();
        let kafka = Kafka::start(
            KafkaKind::Mock,
            &Repository::here(),
            &processes,
            folder.path(),
        )
        .await
        .expect("the mock cluster");
        kafka.create_topic("ticks", 4).await.expect("a topic");
        Self {
            folder,
            kafka,
            processes,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn summary(&self) -> Value {
        serde_json::from_str(&read(&self.path("summary.json"))).expect("JSON")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tick-producer"));
        command
            .env_clear()
            .current_dir(self.folder.path())
            .args(["--brokers", self.kafka.brokers()])
            .args(arguments);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_command(self.command(arguments)).await
    }

    async fn run_command(&self, mut command: Command) -> Outcome {
        let log = self.path("log");
        let process = self
            .processes
            .start("tick-producer", &mut command, &log)
            .await
            .expect("a process");
        let ended = tokio::time::timeout(STEP_TIMEOUT, self.processes.wait(process))
            .await
            .expect("an end within 60 s")
            .expect("a status");
        Outcome {
            succeeded: ended.success(),
            output: read(&log),
        }
    }

    fn client(&self) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", self.kafka.brokers())
            .set("group.id", "test")
            .create()
            .expect("a client")
    }

    /// Waits until ticks arrive.
    async fn wait_for_ticks(&self) {
        let client = self.client();
        let arrived = tokio::task::spawn_blocking(move || {
            let deadline = Instant::now() + STEP_TIMEOUT;
            while count(&client) == 0 {
                assert!(Instant::now() < deadline, "no tick has arrived");
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        arrived.await.expect("ticks");
    }

    /// Returns the keys and values in the topic, in the order of each partition.
    async fn received(&self) -> Vec<(String, Value)> {
        let client = self.client();
        tokio::task::spawn_blocking(move || {
            let mut from_the_start = TopicPartitionList::new();
            for partition in 0..4 {
                from_the_start
                    .add_partition_offset("ticks", partition, Offset::Beginning)
                    .expect("an offset");
            }
            client.assign(&from_the_start).expect("assigned");
            let mut received = Vec::new();
            let wanted = count(&client);
            while (received.len() as i64) < wanted {
                let message = client
                    .poll(STEP_TIMEOUT)
                    .expect("a message in time")
                    .expect("a message");
                let key = String::from_utf8(message.key().expect("a key").to_vec()).expect("text");
                received.push((
                    key,
                    serde_json::from_slice(message.payload().expect("a value")).expect("JSON"),
                ));
            }
            received
        })
        .await
        .expect("records")
    }

    /// Returns the event times in the topic.
    async fn event_times(&self) -> Vec<String> {
        let mut times: Vec<String> = self
            .received()
            .await
            .iter()
            .filter_map(|(_, tick)| Some(tick["event_time"].as_str()?.to_owned()))
            .collect();
        times.sort_unstable();
        times
    }

    /// Sends a file with these contents.
    async fn send(&self, csv: &str, arguments: &[&str]) -> Outcome {
        std::fs::write(self.path("data.csv"), csv).expect("a file");
        self.run(&[&["--csv", "data.csv"], arguments].concat())
            .await
    }
}

/// Returns the number of records in the topic.
fn count(client: &BaseConsumer) -> i64 {
    (0..4)
        .map(|partition| {
            client
                .fetch_watermarks("ticks", partition, STEP_TIMEOUT)
                .expect("watermarks")
                .1
        })
        .sum()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

impl Outcome {
    #[track_caller]
    fn expect_output(self, succeeded: bool, parts: &[&str]) {
        assert_eq!(self.succeeded, succeeded, "{}", self.output);
        for part in parts {
            assert!(
                self.output.contains(part),
                "wanted {part:?} in:\n{}",
                self.output
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_rows_are_counted_printed_and_kept() {
    let bench = Bench::new().await;
    let mut csv = format!("\u{feff}{}", HEADER.replace('\n', "\r\n"));
    csv.push_str(&ROW.replace('\n', "\r\n"));
    csv.push_str("\r\n,,,,,,,,\r\n");
    csv.push_str("HSI,2010-01-09,1,2\r\n");
    csv.push_str("HSI,2010-01-10,1,2,0.5,null,1.5,10,0.2\r\n");
    csv.push_str("HSI,2010-01-11,1,2,0.5,abc,1.5,10,0.2\r\n");
    csv.push_str("HSI,2010-01-12,null,null,null,1.5,1.5,null,null");
    bench.send(&csv, &[]).await.expect_output(
        true,
        &[
            "rejected: line 5 of data.csv: got 4 fields, wanted 9 as in the header",
            "rejected: line 6 of data.csv, column Close: got \"null\", wanted a number",
            "rejected: line 7 of data.csv, column Close: got \"abc\", wanted a number",
            "7 rows of data.csv → 2 ticks sent, 3 rejected (kept in data.rejects.csv), \
             2 blank rows skipped",
        ],
    );
    let kept = read(&bench.path("data.rejects.csv"));
    assert!(
        kept.starts_with("\u{feff}Index,Date")
            && kept.contains("HSI,2010-01-09,1,2\r\n")
            && kept.lines().count() == 4,
        "{kept}"
    );
    let received = bench.received().await;
    assert!(
        received.len() == 2
            && received
                .iter()
                .all(|(key, tick)| key == "HSI" && tick["symbol"] == "HSI"),
        "{received:?}"
    );
    assert_eq!(
        bench.event_times().await,
        ["2010-01-08T00:00:00Z", "2010-01-12T00:00:00Z"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_ten_rejected_rows_are_printed() {
    let bench = Bench::new().await;
    let outcome = bench
        .send(&format!("{HEADER}{ROW}{}", "x\n".repeat(12)), &[])
        .await;
    assert_eq!(
        outcome.output.matches("rejected: line").count(),
        10,
        "{}",
        outcome.output
    );
    outcome.expect_output(
        true,
        &["rejected: … and 2 more", "1 ticks sent, 12 rejected"],
    );
}

/// One row of a thousand too large for Kafka took up to 100,000 queued ticks with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_too_large_for_kafka_is_rejected_and_the_others_are_sent() {
    let bench = Bench::new().await;
    std::fs::write(
        bench.path("producer.yaml"),
        "kafka: {options: {message.max.bytes: 1000}}\n",
    )
    .expect("a file");
    let row = |note: &str| format!("A,2010-01-08,1,{note}\n");
    let csv = format!(
        "symbol,date,close,note\n{}{}{}",
        row("a").repeat(1_000),
        row(&"x".repeat(2_000)),
        row("b")
    );
    bench
        .send(&csv, &["--config", "producer.yaml"])
        .await
        .expect_output(
            true,
            &[
                "rejected: line 1,002 of data.csv: got a message of 2,085 bytes, ",
                "wanted at most 1,000 (message.max.bytes in kafka.options)",
                "1,002 rows of data.csv → 1,001 ticks sent, 1 rejected (kept in data.rejects.csv)",
            ],
        );
    assert_eq!(
        read(&bench.path("data.rejects.csv"))
            .lines()
            .last()
            .map(str::len),
        Some("A,2010-01-08,1,".len() + 2_000)
    );
}

/// The producer waited for ever for acknowledgements that librdkafka did not report.
#[tokio::test(flavor = "multi_thread")]
async fn no_option_makes_a_run_wait_for_reports_that_never_come() {
    let bench = Bench::new().await;
    std::fs::write(
        bench.path("producer.yaml"),
        "kafka: {options: {delivery.report.only.error: true}}\n",
    )
    .expect("a file");
    bench
        .send(&format!("{HEADER}{ROW}"), &["--config", "producer.yaml"])
        .await
        .expect_output(
            false,
            &[
                "kafka.options: delivery.report.only.error cannot be set here: \
                 the producer counts the acknowledgements of Kafka",
            ],
        );
}

/// The rows before it were queued and were lost with the process, without a message.
#[tokio::test(flavor = "multi_thread")]
async fn rows_before_a_full_disk_are_sent_and_counted() {
    let bench = Bench::new().await;
    // More than a buffer holds.
    let csv = format!(
        "{HEADER}{}{}{ROW}",
        ROW.repeat(1_000),
        format!("HSI,2010-01-09,{}\n", "x".repeat(1_000)).repeat(100)
    );
    bench
        .send(&csv, &["--rejects", "/dev/full"])
        .await
        .expect_output(
            false,
            &[
                "rows of data.csv → 1,000 ticks sent, ",
                "/dev/full: cannot keep the rejected rows; \
             name another file with --rejects: No space left",
            ],
        );
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_stops_at_the_first_bad_row() {
    let bench = Bench::new().await;
    let outcome = bench
        .send(&format!("{HEADER}{ROW}x\n{ROW}"), &["--strict"])
        .await;
    outcome.expect_output(
        false,
        &[
            "line 3 of data.csv: got 1 fields, wanted 9",
            "csv.strict is set",
            "1 ticks sent",
        ],
    );
    assert!(!bench.path("data.rejects.csv").exists());
    assert_eq!(bench.received().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_are_named() {
    let bench = Bench::new().await;
    bench.run(&["--csv", "nowhere.csv"]).await.expect_output(
        false,
        &["error: nowhere.csv: cannot open the CSV file: No such file"],
    );
    bench.send("", &[]).await.expect_output(
        false,
        &["error: data.csv: the file is empty; wanted a header such as"],
    );
    bench
        .send(HEADER, &[])
        .await
        .expect_output(false, &["data.csv has a header but no rows"]);
    bench
        .send("Date,Close\n2010-01-08,1\n", &[])
        .await
        .expect_output(
            false,
            &["the header has no column for the symbol", "got Date,Close"],
        );
    bench
        .send(&format!("{HEADER}x\n"), &[])
        .await
        .expect_output(false, &["none of the 1 rows is a valid tick"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_order_comes_from_the_file_or_the_setting() {
    let bench = Bench::new().await;
    let csv = |dates: &[&str]| {
        format!(
            "{HEADER}{}",
            dates
                .iter()
                .map(|date| ROW.replace("2010-01-08", date))
                .collect::<String>()
        )
    };
    let ambiguous = csv(&["08/01/2010", "09/01/2010"]);
    bench.send(&ambiguous, &[]).await.expect_output(
        false,
        &[
            "all 2 dates are valid both as day/month/year and as month/day/year",
            "--date-order dmy or --date-order mdy",
        ],
    );
    assert!(bench.event_times().await.is_empty(), "nothing is guessed");
    bench
        .send(&ambiguous, &["--date-order", "mdy"])
        .await
        .expect_output(true, &["2 ticks sent, 0 rejected"]);
    let mut sent = vec!["2010-08-01T00:00:00Z", "2010-09-01T00:00:00Z"];
    assert_eq!(bench.event_times().await, sent);
    bench
        .send(&ambiguous, &["--date-order", "dmy"])
        .await
        .expect_output(true, &["2 ticks sent, 0 rejected"]);
    bench
        .send(&csv(&["10/01/2010", "13/01/2010"]), &[])
        .await
        .expect_output(true, &["2 ticks sent, 0 rejected"]);
    sent.extend([
        "2010-01-08T00:00:00Z",
        "2010-01-09T00:00:00Z",
        "2010-01-10T00:00:00Z",
        "2010-01-13T00:00:00Z",
    ]);
    sent.sort_unstable();
    assert_eq!(bench.event_times().await, sent);
    bench
        .send(&csv(&["08/13/2010", "13/01/2010"]), &[])
        .await
        .expect_output(
            false,
            &["1 dates are valid only as day/month/year and 1 only as month/day/year"],
        );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_used_name_setting_and_remedy() {
    let bench = Bench::new().await;
    std::fs::write(bench.path("producer.yaml"), "kafka:\n  topik: ticks\n").expect("a file");
    bench
        .run(&["--config", "producer.yaml", "--csv", "x"])
        .await
        .expect_output(
            false,
            &[
                "producer.yaml: ",
                "unknown field `topik`",
                "expected one of",
            ],
        );
    std::fs::write(
        bench.path("producer.yaml"),
        "kafka:\n  options: {acks: 0}\n",
    )
    .expect("a file");
    bench
        .run(&["--config", "producer.yaml", "--csv", "x"])
        .await
        .expect_output(
            false,
            &["kafka.options: acks cannot be set here: \
                 the producer relies on it to send each tick once"],
        );
    bench
        .run(&[])
        .await
        .expect_output(false, &["csv.path: missing", "--csv FILE"]);
    bench
        .run(&["--source", "synthetic", "--csv", "x"])
        .await
        .expect_output(
            false,
            &["csv.path and source: synthetic exclude each other"],
        );
    bench
        .run(&["--csv", "x", "--rate", "fast"])
        .await
        .expect_output(false, &["--rate"]);
    let mut command = bench.command(&["--csv", "x"]);
    command.env("TICK_PRODUCER_SEND__COMPRESSION", "snappy");
    bench.run_command(command).await.expect_output(
        false,
        &[
            "environment variable TICK_PRODUCER_SEND__COMPRESSION: send.compression: \
             unknown variant `snappy`, expected one of `none`, `gzip`",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dotenv_file_sets_the_environment_and_a_flag_overrides_it() {
    let bench = Bench::new().await;
    std::fs::write(
        bench.path(".env"),
        "TICK_PRODUCER_KAFKA__TOPIC=tickz\n\
         TICK_PRODUCER_SOURCE=synthetic\n\
         TICK_PRODUCER_SYNTHETIC__ROWS=5\n",
    )
    .expect("a file");
    bench.run(&[]).await.expect_output(
        false,
        &[
            "topic \"tickz\" does not exist",
            "the brokers know: ticks",
            "set kafka.topic (now \"tickz\"), or create it: kafka-topics.sh",
        ],
    );
    bench
        .run(&["--topic", "ticks", "--symbols", "A,B"])
        .await
        .expect_output(true, &["5 rows of synthetic ticks → 5 ticks sent"]);
    bench
        .run(&["--topic", "ticks", "check"])
        .await
        .expect_output(true, &["ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_kafka_is_an_error_within_15_s() {
    let bench = Bench::new().await;
    let started = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tick-producer"));
    command.env_clear().current_dir(bench.folder.path()).args([
        "--brokers",
        "127.0.0.1:1",
        "--source",
        "synthetic",
    ]);
    bench.run_command(command).await.expect_output(
        false,
        &[
            "cannot reach Kafka at 127.0.0.1:1",
            "set kafka.brokers (now \"127.0.0.1:1\")",
        ],
    );
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_kafka_delays_ticks_and_loses_none() {
    let bench = Bench::new().await;
    let log = bench.path("outage");
    let mut command = bench.command(&["--source", "synthetic", "--rows", "2000", "--rate", "400"]);
    let process = bench
        .processes
        .start("tick-producer", &mut command, &log)
        .await
        .expect("a process");
    bench.wait_for_ticks().await;
    bench.kafka.switch(false).expect("switched off");
    tokio::time::sleep(Duration::from_secs(7)).await;
    bench.kafka.switch(true).expect("switched on");
    let status = tokio::time::timeout(STEP_TIMEOUT, bench.processes.wait(process))
        .await
        .expect("an end")
        .expect("a status");
    Outcome {
        succeeded: status.success(),
        output: read(&log),
    }
    .expect_output(
        true,
        &[
            "Kafka is in trouble",
            "\"message\":\"sending\"",
            "2,000 ticks sent",
        ],
    );
    // The mock cluster may take a tick twice.
    assert!(bench.received().await.len() >= 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn undelivered_ticks_are_counted_and_decide_the_exit_code() {
    let bench = Bench::new().await;
    std::fs::write(
        bench.path("producer.yaml"),
        "kafka: {options: {message.timeout.ms: 1500}}\n",
    )
    .expect("a file");
    let log = bench.path("failing");
    let arguments = [
        "--config",
        "producer.yaml",
        "--source",
        "synthetic",
        "--rows",
        "1000",
        "--rate",
        "500",
        "--summary",
        "summary.json",
    ];
    let process = bench
        .processes
        .start("tick-producer", &mut bench.command(&arguments), &log)
        .await
        .expect("a process");
    bench.wait_for_ticks().await;
    bench.kafka.switch(false).expect("switched off");
    let status = tokio::time::timeout(STEP_TIMEOUT, bench.processes.wait(process))
        .await
        .expect("an end")
        .expect("a status");
    let outcome = Outcome {
        succeeded: status.success(),
        output: read(&log),
    };
    outcome.expect_output(
        false,
        &[
            " failed, ",
            "ticks were not delivered, 0 not acknowledged before the end",
            "Message timed out",
        ],
    );
    let figures = bench.summary();
    let sent = figures["rows_sent"].as_u64().expect("a number");
    let failed = figures["delivery_failures"].as_u64().expect("a number");
    assert!(
        sent > 0 && failed > 0 && sent + failed == 1_000,
        "{figures}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_flushes_the_rows_that_were_read() {
    let bench = Bench::new().await;
    std::fs::write(bench.path("data.csv"), format!("{HEADER}{ROW}")).expect("a file");
    let log = bench.path("term");
    let mut command = bench.command(&[
        "--csv",
        "data.csv",
        "--loop",
        "--rate",
        "1000",
        "--event-time",
        "now",
        "--summary",
        "summary.json",
    ]);
    let process = bench
        .processes
        .start("tick-producer", &mut command, &log)
        .await
        .expect("a process");
    bench.wait_for_ticks().await;
    bench.processes.signal(process, Signal::TERM).await;
    let status = tokio::time::timeout(Duration::from_secs(30), bench.processes.wait(process))
        .await
        .expect("an end")
        .expect("a status");
    assert!(status.success(), "{}", read(&log));
    let figures = bench.summary();
    let received = bench.received().await.len() as u64;
    assert!(
        received > 0 && figures["rows_read"] == received && figures["rows_sent"] == received,
        "{received} received: {figures}"
    );
}
