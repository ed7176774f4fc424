/// The program and version that write objects and manifests here.
pub const WRITER: &str = concat!("ticklake/", env!("CARGO_PKG_VERSION"));
