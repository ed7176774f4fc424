//! The local stack: AWS (ministack) and Kafka on a laptop, with `template.yaml` deployed
//! as it stands.
//!
//! It talks to agents and functions only through the protocols that they use on AWS. What
//! ministack leaves out of AWS, two workers here do: [`CrawlWorker`] does what a Glue
//! crawler does when it runs, [`Mailbox`] is the subscriber's inbox.

mod apache_kafka;
mod aws;
mod aws_call;
pub mod catalog;
mod crawl_worker;
mod crawled_table;
mod deployment;
mod fault_proxy;
mod imds;
mod instance;
mod kafka;
mod lake_contents;
mod mailbox;
mod ministack;
mod network;
mod processes;
mod query;
mod repository;
mod role;
mod runtime_api;
mod stack;
mod switchable_proxy;
mod tools;

pub use apache_kafka::Secured;
pub use aws::Aws;
pub use aws_call::CallError;
pub use crawl_worker::CrawlWorker;
pub use deployment::{Build, Deployment, LOCAL_PARAMETERS, Parameters, sam_command};
pub use fault_proxy::{Conditions, Fault, FaultProxy};
pub use imds::Imds;
pub use instance::{Hardware, Instance, InstanceImage};
pub use kafka::{Kafka, KafkaKind, MOCK_ROWS};
pub use lake_contents::{LakeContents, LakeObject};
pub use mailbox::{Mail, Mailbox};
pub use ministack::{Ministack, free_port};
pub use network::Network;
pub use processes::{ProcessId, Processes, wait_until};
pub use query::Rows;
pub use repository::{Repository, without_cargo_variables};
pub use role::Role;
pub use runtime_api::{FunctionAnswer, FunctionProcess};
pub use stack::{Stack, StackOptions};
pub use switchable_proxy::SwitchableProxy;
pub use tools::Tools;
