//! The local stack: AWS (ministack) and Kafka on a laptop, with the unchanged
//! `template.yaml` deployed.
//!
//! It talks to agents and functions only through the protocols that they use on AWS.

/// The local AWS (ministack), its clients, and questions to it.
mod aws;
/// Proxies that delay, fail or cut off calls.
mod faults;
/// This machine: the work tree, its tools, and processes.
mod host;
/// An instance of EC2, booted on this machine with its scripts and units.
mod instance;
/// Kafka: the mock cluster of librdkafka, or Apache Kafka.
mod kafka;
/// The template, deployed, and everything that works with it.
mod stack;
/// Replacements for parts of AWS that ministack lacks: a running crawler, the subscriber's
/// inbox, the metadata service of an instance, the runtime API of functions.
mod stand_ins;

pub use aws::call::CallError;
pub use aws::catalog;
pub use aws::clients::{Aws, REGION};
pub use aws::lake_contents::{LakeContents, LakeObject, list as list_objects};
pub use aws::lake_copy::{LakeCopy, recount};
pub use aws::ministack::{Ministack, free_port};
pub use aws::query::{Rows, at, statements};
pub use aws::role::Role;
pub use faults::fault_proxy::{Conditions, Fault, FaultProxy};
pub use faults::switchable_proxy::SwitchableProxy;
pub use host::agent_output::{agent_output, agent_outputs};
pub use host::processes::{ProcessId, Processes, wait_until};
pub use host::repository::{Repository, without_cargo_variables};
pub use host::tools::Tools;
pub use host::workspace::Workspace;
pub use instance::machine::{Hardware, Instance, InstanceImage};
pub use instance::network::Network;
pub use kafka::apache::Secured;
pub use kafka::cluster::{Kafka, KafkaKind, MOCK_ROWS};
pub use stack::curated_lake::CuratedLake;
pub use stack::deployment::{Build, Deployment, LOCAL_PARAMETERS, Parameters, sam_command};
pub use stack::raw_ticks::RawTicks;
pub use stack::running::Stack;
pub use stack::{arrivals, sample};
pub use stand_ins::crawl_worker::CrawlWorker;
pub use stand_ins::imds::Imds;
pub use stand_ins::mailbox::{Mail, Mailbox};
pub use stand_ins::runtime_api::{FunctionAnswer, FunctionProcess};
