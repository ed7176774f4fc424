//! The local stack: AWS (ministack) and Kafka on a laptop, with the unchanged
//! `template.yaml` deployed.
//!
//! It talks to agents and functions only through the protocols that they use on AWS. Two
//! workers here replace parts of AWS that ministack does not have: [`CrawlWorker`] does
//! the work of a running Glue crawler, [`Mailbox`] is the subscriber's inbox.

mod agent_output;
mod apache_kafka;
pub mod arrivals;
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
pub mod sample;
mod stack;
mod switchable_proxy;
mod tools;

pub use agent_output::{agent_output, agent_outputs};
pub use apache_kafka::Secured;
pub use aws::{Aws, REGION};
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
pub use query::{Rows, at, statements};
pub use repository::{Repository, without_cargo_variables};
pub use role::Role;
pub use runtime_api::{FunctionAnswer, FunctionProcess};
pub use stack::{Stack, StackOptions};
pub use switchable_proxy::SwitchableProxy;
pub use tools::Tools;
