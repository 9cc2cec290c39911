//! A wire between a client and a server that can be cut and joined again.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections while it is joined. Cutting it ends those that are open and refuses new ones.
pub(super) struct Wire {
    pub(super) address: SocketAddr,
    joined: Arc<watch::Sender<bool>>,
}

impl Wire {
    /// To `server` (`host:port`), joined.
    pub(super) async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let joined = Arc::new(watch::Sender::new(true));
        let state = Arc::clone(&joined);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *state.borrow() {
                    tokio::spawn(forward(client, server.clone(), state.subscribe()));
                }
            }
        });
        Self { address, joined }
    }

    pub(super) fn cut(&self) {
        self.joined.send_replace(false);
    }

    pub(super) fn join(&self) {
        self.joined.send_replace(true);
    }
}

async fn forward(mut client: TcpStream, server: String, mut joined: watch::Receiver<bool>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _ = joined.wait_for(|joined| !joined) => {}
    }
}
