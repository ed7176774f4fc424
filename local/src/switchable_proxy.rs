use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A TCP proxy that can be switched off, like an outage of the service behind it. Open
/// connections break, and new ones are refused.
pub struct SwitchableProxy {
    address: SocketAddr,
    on: Arc<watch::Sender<bool>>,
    acceptor: JoinHandle<()>,
}

impl SwitchableProxy {
    /// Listens on a free port of 127.0.0.1 for a service at `target`, `host:port`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(target: &str) -> Result<Self> {
        Self::start_at("127.0.0.1", target).await
    }

    /// Listens on a free port of another address of this machine.
    pub(crate) async fn start_at(host: &str, target: &str) -> Result<Self> {
        let listener = TcpListener::bind((host, 0)).await?;
        let address = listener.local_addr()?;
        let on = Arc::new(watch::channel(true).0);
        let acceptor = tokio::spawn(accept(listener, target.to_owned(), Arc::clone(&on)));
        Ok(Self {
            address,
            on,
            acceptor,
        })
    }

    /// Returns the URL of the proxy.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Switches the service on or off.
    pub fn switch(&self, on: bool) {
        self.on.send_replace(on);
    }
}

impl Drop for SwitchableProxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(listener: TcpListener, target: String, on: Arc<watch::Sender<bool>>) {
    while let Ok((mut client, _)) = listener.accept().await {
        let mut on = on.subscribe();
        let target = target.clone();
        if !*on.borrow() {
            continue;
        }
        tokio::spawn(async move {
            let Ok(mut service) = TcpStream::connect(target).await else {
                return;
            };
            tokio::select! {
                // Either side may hang up, which ends the connection.
                _ = copy_bidirectional(&mut client, &mut service) => {}
                _ = on.wait_for(|on| !on) => {}
            }
        });
    }
}
