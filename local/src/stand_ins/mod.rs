pub(crate) mod crawl_worker;
pub(crate) mod crawled_table;
pub(crate) mod imds;
pub(crate) mod mailbox;
pub(crate) mod runtime_api;
