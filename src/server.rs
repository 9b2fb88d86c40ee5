//! The accept loop: HTTP/1.1 and HTTP/2 on one port, with the bounds that poem's own server lacks (time for a request's
//! head, number of connections) and an orderly end: stop accepting, let requests finish, close.

use std::{future::Future, sync::Arc, time::Duration};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use poem::{
    Endpoint, Request, Response,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{net::TcpListener, sync::Semaphore};

/// How long the head of a request may take, and how long a kept-alive connection may be idle.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long requests in flight may take at the end.
const DRAIN_TIME: Duration = Duration::from_secs(20);
const MAX_HEADERS: usize = 64;
const MAX_HEAD: u32 = 64 * 1024;

/// Serves `root` on `listener` until `stop` is ready; then drains. At most `connections` at once: more wait to be
/// accepted.
pub async fn serve<E>(listener: TcpListener, root: E, connections: usize, stop: impl Future<Output = ()>)
where
    E: Endpoint<Output = Response> + 'static,
{
    let root = Arc::new(root);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .max_concurrent_streams(100)
        .max_header_list_size(MAX_HEAD);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(connections));
    let mut stop = std::pin::pin!(stop);

    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = &mut stop => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: without a pause this loop would take a whole core.
                tracing::error!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Answers are written whole; Nagle's algorithm would only delay them.
        let _ = stream.set_nodelay(true);
        let local = LocalAddr(stream.local_addr().map(Into::into).unwrap_or_default());
        let root = Arc::clone(&root);
        let service = service_fn(move |request| {
            let request: Request = (request, local.clone(), RemoteAddr(peer.into()), Scheme::HTTP).into();
            let root = Arc::clone(&root);
            async move { Ok::<hyper::Response<_>, std::convert::Infallible>(root.get_response(request).await.into()) }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that went away or spoke no HTTP is no event of ours.
            let _ = connection.await;
            drop(place);
        });
    }

    drop(listener);
    if tokio::time::timeout(DRAIN_TIME, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still in flight after {} s; they are cut off", DRAIN_TIME.as_secs());
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
