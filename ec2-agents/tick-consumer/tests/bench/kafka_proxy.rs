use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Where a batch says in which form it is, and the form that all are in.
const MAGIC: (usize, u8) = (16, 2);

/// A proxy in front of the only broker of a Kafka that damages a batch once on its way to a consumer.
pub struct KafkaProxy {
    address: SocketAddr,
    has_damaged: Arc<AtomicBool>,
}

impl KafkaProxy {
    /// Listens on a free port. The batch that begins at `offset` and has `text` in it arrives in a form that does not exist, and the next time as it is.
    pub async fn start(broker: &str, offset: i64, text: &'static [u8]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let (address, broker) = (listener.local_addr().expect("an address"), broker.parse::<SocketAddr>().expect("an address"));
        let has_damaged = Arc::new(AtomicBool::new(false));
        let damaged = Arc::clone(&has_damaged);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (from_client, to_client) = client.into_split();
                let (from_broker, to_broker) = TcpStream::connect(broker).await.expect("the broker").into_split();
                tokio::spawn(requests(from_client, to_broker));
                let ports = (broker.port(), address.port());
                tokio::spawn(answers(from_broker, to_client, ports, (offset, text), Arc::clone(&damaged)));
            }
        });
        Self { address, has_damaged }
    }

    pub fn brokers(&self) -> String {
        self.address.to_string()
    }

    pub fn has_damaged(&self) -> bool {
        self.has_damaged.load(Ordering::SeqCst)
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    // Either side may hang up.
    let _ = copy(&mut from, &mut to).await;
}

/// Passes answers on whole, as each says how long it is.
async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    (port, shown): (u16, u16),
    (offset, text): (i64, &'static [u8]),
    has_damaged: Arc<AtomicBool>,
) {
    let at = |port: u16| [b"127.0.0.1".as_slice(), &u32::from(port).to_be_bytes()].concat();
    while let Ok(length) = from.read_u32().await {
        let mut answer = vec![0; length as usize];
        if from.read_exact(&mut answer).await.is_err() {
            return;
        }
        // The broker tells clients where it is, and they are to come here.
        for place in find(&answer, &at(port)) {
            answer[place..place + at(port).len()].copy_from_slice(&at(shown));
        }
        if let Some(place) = find(&answer, text).first() {
            let batches = find(&answer[..*place], &offset.to_be_bytes());
            let magic = batches.iter().map(|batch| batch + MAGIC.0).rfind(|magic| answer[*magic] == MAGIC.1);
            if !has_damaged.swap(true, Ordering::SeqCst) {
                answer[magic.expect("the batch")] = u8::MAX >> 1;
            }
        }
        if to.write_u32(length).await.is_err() || to.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn find(answer: &[u8], text: &[u8]) -> Vec<usize> {
    answer.windows(text.len()).enumerate().filter(|(_, window)| *window == text).map(|(place, _)| place).collect()
}
