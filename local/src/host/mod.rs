pub(crate) mod agent_output;
pub(crate) mod processes;
pub(crate) mod repository;
pub(crate) mod tools;
pub(crate) mod workspace;
