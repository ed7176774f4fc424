pub(crate) mod call;
pub mod catalog;
pub(crate) mod clients;
pub(crate) mod lake_contents;
pub(crate) mod ministack;
pub(crate) mod query;
pub(crate) mod role;
