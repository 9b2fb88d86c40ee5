//! The accept loop: HTTP/1.1 and HTTP/2 on one port, with the bounds that poem's own server lacks (time for a request's
//! head and for taking its answer, number of connections) and an orderly end: stop accepting, let requests finish, close.

mod clients;
mod life;
mod socket;

use std::{future::Future, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{
    Version,
    body::Incoming,
    header::{CONNECTION, HeaderValue},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use poem::{
    Endpoint, Request, Response,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};

pub use clients::Clients;
use clients::Place;
use life::{End, Life};
use socket::Socket;

/// How long requests in flight may take at the end.
const DRAIN_TIME: Duration = Duration::from_secs(20);
/// At the end: how long a connection is kept whose client may have sent a request just now. Each answer meanwhile says that
/// it is the connection's last.
const LAST_REQUEST: Duration = Duration::from_secs(1);
/// How long a connection that is told to end may take to.
const ENDING: Duration = Duration::from_secs(10);
const MAX_HEADERS: usize = 64;
const MAX_HEAD: u32 = 64 * 1024;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 32;
/// What HTTP/2 holds of an answer that it cannot send yet, bytes.
const SEND_BUFFER: usize = 64 * 1024;

/// Serves `root` on `listener` until `stop` is ready; then drains. Of the connections that `clients` has no place for, those
/// of one network are closed, and others wait to be accepted.
pub async fn serve<E>(listener: TcpListener, root: E, clients: Clients, stop: impl Future<Output = ()>)
where
    E: Endpoint<Output = Response> + 'static,
{
    let root = Arc::new(root);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // How long a head may take, `life` says, for both protocols.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .max_concurrent_streams(MAX_STREAMS)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(MAX_HEAD);
    let builder = Arc::new(builder);
    let stopping = watch::Sender::new(false);
    // Each connection holds a sender: the last one to go ends the wait.
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    let accept = |(stream, peer): (TcpStream, SocketAddr), place: Place| {
        // Answers are written whole; Nagle's algorithm would only delay them.
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            builder: Arc::clone(&builder),
            root: Arc::clone(&root),
            local: LocalAddr(stream.local_addr().map(Into::into).unwrap_or_default()),
            peer,
            stopping: stopping.subscribe(),
        };
        let open = open.clone();
        tokio::spawn(async move {
            connection.run(stream).await;
            drop((place, open));
        });
    };

    let mut stop = pin!(stop);
    loop {
        let free = tokio::select! {
            free = clients.free() => free,
            () = &mut stop => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Some(place) = clients.take(free, peer.ip()) {
                    accept((stream, peer), place);
                }
            }
            Err(error) => {
                // Out of file descriptors, most likely: without a pause this loop would take a whole core.
                tracing::error!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    // Whoever has connected already is answered, too.
    while let Ok(Ok((stream, peer))) = tokio::time::timeout(Duration::ZERO, listener.accept()).await {
        let free = tokio::time::timeout(Duration::ZERO, clients.free()).await;
        if let Some(place) = free.ok().and_then(|free| clients.take(free, peer.ip())) {
            accept((stream, peer), place);
        }
    }
    drop(listener);
    stopping.send_replace(true);
    drop(open);
    if tokio::time::timeout(DRAIN_TIME, all_closed.recv()).await.is_err() {
        tracing::warn!("requests were still in flight after {} s; they are cut off", DRAIN_TIME.as_secs());
    }
}

/// What a connection is served with.
struct Connection<E> {
    builder: Arc<auto::Builder<TokioExecutor>>,
    root: Arc<E>,
    local: LocalAddr,
    peer: SocketAddr,
    stopping: watch::Receiver<bool>,
}

impl<E: Endpoint<Output = Response> + 'static> Connection<E> {
    async fn run(self, stream: TcpStream) {
        let Self { builder, root, local, peer, mut stopping } = self;
        let life = Life::begin();
        let of_service = (life.clone(), stopping.clone());
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let (life, stopping) = of_service.clone();
            let under_way = life.request();
            let last = request.version() < Version::HTTP_2;
            let request: Request = (request, local.clone(), RemoteAddr(peer.into()), Scheme::HTTP).into();
            let root = Arc::clone(&root);
            async move {
                let mut response: hyper::Response<_> = root.get_response(request).await.into();
                if last && *stopping.borrow() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, std::convert::Infallible>(response.map(|body| under_way.answer(body)))
            }
        });
        let mut connection = pin!(builder.serve_connection(TokioIo::new(Socket::new(stream)), service));
        // A client that went away or spoke no HTTP is no event of ours.
        let end = tokio::select! {
            _ = connection.as_mut() => return,
            end = life.over() => end,
            () = async { drop(stopping.wait_for(|stopping| *stopping).await) } => {
                // HTTP/2 says itself which requests are too late, but is only known by its first one.
                if tokio::time::timeout(LAST_REQUEST, connection.as_mut()).await.is_err() {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
                return;
            }
        };
        if end == End::Quiet {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(ENDING, connection).await;
        }
    }
}

/// Ready at the first SIGINT or SIGTERM.
///
/// # Errors
/// When the signals cannot be listened to.
pub fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        Ok(async {
            let _ = tokio::signal::ctrl_c().await;
        })
    }
}
