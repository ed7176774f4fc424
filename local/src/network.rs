use anyhow::{Result, ensure};
use tokio::process::Command;

use crate::SwitchableProxy;

/// This machine's end of the cable to an instance's own network, and the instance's end.
const ENDS: [&str; 2] = ["10.231.77.1", "10.231.77.2"];

/// A network namespace for an instance that listens on ports of its own choice, and the
/// way from it to services of this machine. Needs root and iproute2.
pub struct Network {
    name: String,
    /// The instance's end of the cable.
    device: String,
    /// What carries the instance's calls to the services.
    proxies: Vec<SwitchableProxy>,
}

impl Network {
    /// Makes the namespace, with a way to each of the services, `host:port`.
    ///
    /// # Errors
    /// iproute2 is missing or refuses.
    pub async fn start(services: &[&str]) -> Result<Self> {
        let name = format!("ticklake{}", std::process::id() % 100_000);
        let (here, there) = (
            format!("tl{}a", std::process::id() % 100_000),
            format!("tl{}b", std::process::id() % 100_000),
        );
        let mut network = Self {
            name: name.clone(),
            device: there.clone(),
            proxies: Vec::new(),
        };
        ip(&["netns", "add", &name]).await?;
        ip(&[
            "link", "add", &here, "type", "veth", "peer", "name", &there, "netns", &name,
        ])
        .await?;
        ip(&["address", "add", &format!("{}/30", ENDS[0]), "dev", &here]).await?;
        ip(&["link", "set", &here, "up"]).await?;
        ip(&[
            "-n",
            &name,
            "address",
            "add",
            &format!("{}/30", ENDS[1]),
            "dev",
            &there,
        ])
        .await?;
        ip(&["-n", &name, "link", "set", &there, "up"]).await?;
        ip(&["-n", &name, "link", "set", "lo", "up"]).await?;
        for service in services {
            network
                .proxies
                .push(SwitchableProxy::start_at(ENDS[0], service).await?);
        }
        Ok(network)
    }

    /// Returns its name below `/run/netns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the instance another address, which it reaches itself at.
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

    /// Returns where the instance reaches a service, `host:port`.
    pub fn way_to(&self, service: usize) -> Option<String> {
        self.proxies
            .get(service)
            .map(|proxy| proxy.url().trim_start_matches("http://").to_owned())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The cable goes with the namespace; one that is gone already is what this asks
        // for.
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
