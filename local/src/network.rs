use anyhow::{Result, ensure};
use tokio::process::Command;

use crate::SwitchableProxy;

/// Addresses of this machine's end and the instance's end of the cable to an instance.
const HOST_ADDRESS: &str = "10.231.77.1";
const INSTANCE_ADDRESS: &str = "10.231.77.2";

/// A network namespace for an instance that chooses its own ports, with proxies to
/// services of this machine. Needs root and iproute2.
pub struct Network {
    name: String,
    /// The instance's end of the cable.
    device: String,
    /// The proxies for the instance's calls to the services.
    proxies: Vec<SwitchableProxy>,
}

impl Network {
    /// Creates the namespace, with a proxy to each of the services (`host:port`).
    ///
    /// # Errors
    /// iproute2 is missing or refuses.
    pub async fn start(services: &[&str]) -> Result<Self> {
        let name = format!("ticklake{}", std::process::id() % 100_000);
        let host_device = format!("tl{}a", std::process::id() % 100_000);
        let device = format!("tl{}b", std::process::id() % 100_000);
        let mut network = Self {
            name: name.clone(),
            device: device.clone(),
            proxies: Vec::new(),
        };
        ip(&["netns", "add", &name]).await?;
        ip(&[
            "link",
            "add",
            &host_device,
            "type",
            "veth",
            "peer",
            "name",
            &device,
            "netns",
            &name,
        ])
        .await?;
        ip(&[
            "address",
            "add",
            &format!("{HOST_ADDRESS}/30"),
            "dev",
            &host_device,
        ])
        .await?;
        ip(&["link", "set", &host_device, "up"]).await?;
        ip(&[
            "-n",
            &name,
            "address",
            "add",
            &format!("{INSTANCE_ADDRESS}/30"),
            "dev",
            &device,
        ])
        .await?;
        ip(&["-n", &name, "link", "set", &device, "up"]).await?;
        ip(&["-n", &name, "link", "set", "lo", "up"]).await?;
        for service in services {
            network
                .proxies
                .push(SwitchableProxy::start_at(HOST_ADDRESS, service).await?);
        }
        Ok(network)
    }

    /// Returns the namespace's name below `/run/netns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the instance another address, at which it reaches itself.
    ///
    /// # Errors
    /// iproute2 refuses.
    pub async fn add_address(&self, address: &str) -> Result<()> {
        ip(&[
            "-n",
            &self.name,
            "address",
            "add",
            &format!("{address}/32"),
            "dev",
            &self.device,
        ])
        .await
    }

    /// Returns the address at which the instance reaches a service, `host:port`.
    pub fn way_to(&self, service: usize) -> Option<String> {
        self.proxies
            .get(service)
            .map(|proxy| proxy.url().trim_start_matches("http://").to_owned())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The cable goes with the namespace. An error is fine: the namespace may be gone.
        let _ = std::process::Command::new("ip")
            .args(["netns", "delete", &self.name])
            .output();
    }
}

async fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().await;
    let output = output
        .map_err(|error| anyhow::anyhow!("ip: {error}; on Debian: apt-get install iproute2"))?;
    ensure!(
        output.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
