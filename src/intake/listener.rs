//! Listens for mail servers. There are few of them, and each may take its time; what only connects and says nothing has its
//! connection closed, and there are never more connections than a number that harms nobody.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncWriteExt as _, BufStream},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use super::session::Session;
pub use super::session::{Desk, Protocol};

/// Connections at once, of each listener; more are told to come again.
pub const CONNECTIONS: usize = 100;
/// How long a connection that is too much may take to be told so.
const TELL: Duration = Duration::from_secs(2);
/// At the end: how long a mail that is being handed over may take.
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until `stop` turns true, and then a while those that are under way.
pub async fn run(listener: TcpListener, protocol: Protocol, desk: Arc<Desk>, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut sessions = JoinSet::new();
    loop {
        while sessions.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection of a mail server could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            refuse(stream).await;
            continue;
        };
        let desk = Arc::clone(&desk);
        sessions.spawn(async move {
            let _ = stream.set_nodelay(true);
            let session = Session::new(desk, protocol, peer, BufStream::new(stream));
            if let Err(error) = session.run().await {
                tracing::debug!(%error, "a connection of a mail server broke");
            }
            drop(place);
        });
    }
    drop(listener);
    let ended = async { while sessions.join_next().await.is_some() {} };
    // Those that only wait are no loss: what was answered is committed, and the rest comes again.
    let _ = tokio::time::timeout(DRAIN.min(Duration::from_secs(1)), ended).await;
}

async fn refuse(mut stream: TcpStream) {
    let told = stream.write_all(b"421 4.3.2 too many connections, come again\r\n");
    let _ = tokio::time::timeout(TELL, told).await;
}
