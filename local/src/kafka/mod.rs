pub(crate) mod apache;
pub(crate) mod cluster;
