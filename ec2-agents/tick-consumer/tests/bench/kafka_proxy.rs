use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// A proxy in front of the only broker of a Kafka that changes the broker's answers.
pub struct KafkaProxy {
    address: SocketAddr,
}

impl KafkaProxy {
    /// Listens on a free port. `change` gets each answer of the broker, without its
    /// length, which has to stay.
    pub async fn start(broker: &str, change: impl Fn(&mut [u8]) + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let (address, broker) = (
            listener.local_addr().expect("an address"),
            broker.parse::<SocketAddr>().expect("an address"),
        );
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (from_client, to_client) = client.into_split();
                let (from_broker, to_broker) = TcpStream::connect(broker)
                    .await
                    .expect("the broker")
                    .into_split();
                tokio::spawn(requests(from_client, to_broker));
                tokio::spawn(answers(
                    from_broker,
                    to_client,
                    (broker.port(), address.port()),
                    change.clone(),
                ));
            }
        });
        Self { address }
    }

    pub fn brokers(&self) -> String {
        self.address.to_string()
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
    change: impl Fn(&mut [u8]),
) {
    let at = |port: u16| [b"127.0.0.1".as_slice(), &u32::from(port).to_be_bytes()].concat();
    while let Ok(length) = from.read_u32().await {
        let mut answer = vec![0; length as usize];
        if from.read_exact(&mut answer).await.is_err() {
            return;
        }
        // The broker gives clients its own address, and they have to come here.
        replace(&mut answer, &at(port), &at(shown));
        change(&mut answer);
        if to.write_u32(length).await.is_err() || to.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// Returns the position of a text.
pub fn find(answer: &[u8], text: &[u8]) -> Vec<usize> {
    answer
        .windows(text.len())
        .enumerate()
        .filter(|(_, window)| *window == text)
        .map(|(place, _)| place)
        .collect()
}

/// Puts one text in the place of another that is as long.
pub fn replace(answer: &mut [u8], text: &[u8], by: &[u8]) {
    for place in find(answer, text) {
        answer[place..place + by.len()].copy_from_slice(by);
    }
}
