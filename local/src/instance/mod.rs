pub(crate) mod machine;
pub(crate) mod network;
