//! What a connection is doing, so that it can be ended when it does nothing: not while an answer is under way, and soon
//! where no request was ever whole.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::body::{Body, Buf as _, Bytes, Frame, SizeHint};
use tokio::{sync::watch, time::Instant};

/// From accepting a connection to its first whole head.
const FIRST_HEAD: Duration = Duration::from_secs(10);
/// From an answer to the next whole head.
const IDLE: Duration = Duration::from_secs(30);
/// How long an answer may take to be taken, whatever its size ...
const TAKING: Duration = Duration::from_secs(20);
/// ... and besides, a second for so many bytes of it.
const RATE: u64 = 16 * 1024;
/// What an answer is handed over in, bytes: what HTTP/2 cannot send yet is not taken from it.
const CHUNK: usize = 16 * 1024;

#[derive(Default)]
struct State {
    requests: u64,
    /// When each answer under way has to be taken; `None` for one that goes on as long as its sender wants.
    under_way: Vec<(u64, Option<Instant>)>,
}

/// Of one connection.
#[derive(Clone)]
pub struct Life(Arc<watch::Sender<State>>);

impl Life {
    pub fn begin() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }

    /// A whole head has come.
    pub fn request(&self) -> UnderWay {
        let mut id = 0;
        self.0.send_modify(|state| {
            state.requests += 1;
            id = state.requests;
            state.under_way.push((id, None));
        });
        UnderWay { life: self.clone(), id }
    }

    /// Returns when nothing has been asked for too long, or when an answer has not been taken for too long.
    pub async fn over(&self) -> End {
        let mut changes = self.0.subscribe();
        loop {
            let (until, end) = {
                let state = changes.borrow_and_update();
                let (bound, end) = if state.requests == 0 { (FIRST_HEAD, End::Silent) } else { (IDLE, End::Quiet) };
                match state.under_way.iter().filter_map(|(_, until)| *until).min() {
                    Some(until) => (Some(until), End::Untaken),
                    None if state.under_way.is_empty() => (Some(Instant::now() + bound), end),
                    None => (None, end),
                }
            };
            let changed = async { drop(changes.changed().await) };
            match until {
                Some(until) => {
                    if tokio::time::timeout_at(until, changed).await.is_err() {
                        return end;
                    }
                }
                None => changed.await,
            }
        }
    }
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing was ever asked.
    Silent,
    /// Nothing was asked for a while: it may end in order.
    Quiet,
    /// An answer was not taken.
    Untaken,
}

/// A request that is answered, until its answer is sent.
pub struct UnderWay {
    life: Life,
    id: u64,
}

impl UnderWay {
    /// The answer, taken in time or never.
    pub fn answer<B: Body<Data = Bytes>>(self, body: B) -> Answer<B> {
        let size = body.size_hint().exact();
        let until = size.map(|size| Instant::now() + TAKING + Duration::from_secs(size / RATE));
        self.life.0.send_if_modified(|state| {
            if let Some(entry) = state.under_way.iter_mut().find(|(id, _)| *id == self.id) {
                entry.1 = until;
            }
            until.is_some()
        });
        Answer { body, rest: Bytes::new(), _under_way: self }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.life.0.send_modify(|state| state.under_way.retain(|(id, _)| *id != self.id));
    }
}

/// A body that is handed over piece by piece, and is under way until the last.
pub struct Answer<B> {
    body: B,
    rest: Bytes,
    _under_way: UnderWay,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                other => return Poll::Ready(other),
            }
        }
        let length = self.rest.len().min(CHUNK);
        let piece = self.rest.copy_to_bytes(length);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn over_after(life: &Life) -> (u64, End) {
        let began = Instant::now();
        let end = life.over().await;
        (began.elapsed().as_secs(), end)
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_connection_and_work_does_not() {
        let life = Life::begin();
        assert_eq!(over_after(&life).await, (10, End::Silent), "nothing was ever asked");
        let request = life.request();
        let working = tokio::time::timeout(Duration::from_hours(1), life.over()).await;
        assert!(working.is_err(), "its answer is being made");
        drop(request);
        assert_eq!(over_after(&life).await, (30, End::Quiet));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_taken_in_time_or_its_connection_ends() {
        let life = Life::begin();
        let response: hyper::Response<_> = poem::Response::builder().body(vec![0; 1024 * 1024]).into();
        let mut large = life.request().answer(response.into_body());
        let first = std::future::poll_fn(|cx| Pin::new(&mut large).poll_frame(cx)).await;
        let first = first.expect("a frame").expect("no error").into_data().expect("data");
        assert_eq!(first.len(), CHUNK);
        assert_eq!(over_after(&life).await, (20 + 64, End::Untaken));
        drop(large);
        assert_eq!(over_after(&life).await, (30, End::Quiet));
    }
}
