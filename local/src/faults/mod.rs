pub(crate) mod fault_proxy;
pub(crate) mod switchable_proxy;
