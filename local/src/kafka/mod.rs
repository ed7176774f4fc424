pub(crate) mod apache;
pub(crate) mod cluster;
pub(crate) mod jars;
