//! A socket whose other end has to read: who does not take what they asked for is cut off.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

/// How long what waits to be sent may wait, before less than [`LEAST`] of it was taken.
const WINDOW: Duration = Duration::from_secs(20);
/// What must be taken in a [`WINDOW`], bytes: 16 kbit/s.
const LEAST: usize = 40 * 1024;

pub struct Socket<S = TcpStream> {
    stream: S,
    /// While something waits to be sent.
    waiting: Option<Waiting>,
}

struct Waiting {
    end: Pin<Box<Sleep>>,
    taken: usize,
}

impl<S> Socket<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, waiting: None }
    }

    /// What came of an attempt to send so many bytes.
    fn watched(
        &mut self,
        cx: &mut Context<'_>,
        length: usize,
        sent: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match sent {
            Poll::Ready(Ok(count)) => {
                if count == length {
                    self.waiting = None;
                } else if let Some(waiting) = &mut self.waiting {
                    waiting.taken += count;
                }
                sent
            }
            Poll::Ready(Err(_)) => sent,
            Poll::Pending => {
                let fresh = || Waiting { end: Box::pin(tokio::time::sleep(WINDOW)), taken: 0 };
                let waiting = self.waiting.get_or_insert_with(fresh);
                loop {
                    ready!(waiting.end.as_mut().poll(cx));
                    if waiting.taken < LEAST {
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                    waiting.taken = 0;
                    waiting.end.as_mut().reset(Instant::now() + WINDOW);
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watched(cx, bytes.len(), sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.watched(cx, parts.iter().map(|part| part.len()).sum(), sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    /// Takes so many bytes of `answer` in each window, and says what became of sending it.
    async fn sent(answer: usize, each_window: usize) -> io::Result<()> {
        let (here, mut there): (DuplexStream, DuplexStream) = duplex(8 * 1024);
        let reading = tokio::spawn(async move {
            let mut buffer = vec![0; each_window];
            while each_window > 0 && there.read_exact(&mut buffer).await.is_ok() {
                tokio::time::sleep(WINDOW).await;
            }
            std::future::pending::<()>().await;
            drop(there);
        });
        let outcome = Socket::new(here).write_all(&vec![0; answer]).await;
        reading.abort();
        outcome
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_or_too_little_is_cut_off_and_who_reads_slowly_is_not() {
        let timed_out = Some(io::ErrorKind::TimedOut);
        assert_eq!(sent(1024 * 1024, 0).await.err().map(|error| error.kind()), timed_out);
        assert_eq!(sent(1024 * 1024, LEAST / 4).await.err().map(|error| error.kind()), timed_out);
        assert!(sent(1024 * 1024, LEAST * 2).await.is_ok());
        assert!(sent(4 * 1024, 0).await.is_ok(), "it fits the socket's own buffer");
    }
}
