//! Content codings (RFC 9110, 8.4.1): the same text in fewer bytes, for who can read it so.
//!
//! Levels are those at which more effort buys little. Of a list of 20 articles, 9.0 KB, in release builds:
//!
//! | | bytes | µs |
//! |---|---|---|
//! | gzip 4, 6, 9 | 3434, 3386, 3383 | 78, 84, 119 |
//! | brotli 3, 5, 9 | 3387, 3145, 3136 | 132, 231, 10526 |

use std::{
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use brotli::enc::BrotliEncoderParams;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use tokio::sync::Mutex;

/// Bodies below this many bytes are sent as they are: they fit a packet anyway.
pub const LEAST: usize = 1024;
/// Larger ones, bytes, are encoded where they keep no other request waiting: up to here it takes a millisecond.
const AT_ONCE: usize = 32 * 1024;
/// How long an encoding is kept whose text goes on changing. A count of views changes with every view, and would be all
/// that is encoded anew.
const LATE: Duration = Duration::from_secs(1);

/// A way to encode a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    Brotli,
    Gzip,
}

/// What an encoding is made for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// To be sent many times, and kept: smaller, and at most half of its text, or it is not worth its memory.
    Many,
    /// To be sent once: sooner.
    Once,
}

impl Coding {
    /// Those that there are, the better one first.
    pub const ALL: [Self; 2] = [Self::Brotli, Self::Gzip];

    /// As headers call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// `text` to be sent once; `None` when it takes no fewer bytes so.
    pub async fn encode(self, text: Bytes) -> Option<Bytes> {
        self.encode_for(Use::Once, text).await
    }

    async fn encode_for(self, of: Use, text: Bytes) -> Option<Bytes> {
        if text.len() < LEAST {
            return None;
        }
        let most = if of == Use::Many { text.len() / 2 } else { text.len() - 1 };
        let encoded = if text.len() <= AT_ONCE {
            self.encode_now(of, &text)
        } else {
            tokio::task::spawn_blocking(move || self.encode_now(of, &text)).await.ok()?
        };
        // In as much memory as it needs.
        encoded.filter(|encoded| encoded.len() <= most).map(|encoded| encoded.into_boxed_slice().into())
    }

    fn encode_now(self, of: Use, text: &[u8]) -> Option<Vec<u8>> {
        let encoded = Vec::with_capacity(text.len() / 2);
        match self {
            Self::Gzip => {
                let level = if of == Use::Many { 6 } else { 4 };
                let mut encoder = GzEncoder::new(encoded, Compression::new(level));
                encoder.write_all(text).ok()?;
                encoder.finish().ok()
            }
            Self::Brotli => {
                // A window that the whole text fits into, and no larger, which would take longer to make than most texts. Below
                // 2^17 the encoder takes other tables, which take ten milliseconds to make.
                let window = (usize::BITS - text.len().leading_zeros()).clamp(18, 22);
                let params = BrotliEncoderParams {
                    quality: if of == Use::Many { 5 } else { 3 },
                    lgwin: window.cast_signed(),
                    size_hint: text.len(),
                    ..BrotliEncoderParams::default()
                };
                let mut encoded = encoded;
                brotli::BrotliCompress(&mut &*text, &mut encoded, &params).ok()?;
                Some(encoded)
            }
        }
    }
}

/// The encodings of a text that is sent many times: each is made when it is first asked for, and shared by all clones.
#[derive(Clone, Default)]
pub struct Encodings(Arc<[Mutex<Option<Made>>; Coding::ALL.len()]>);

/// What came of an attempt.
struct Made {
    edition: i64,
    at: Instant,
    encoded: Option<Bytes>,
}

impl Encodings {
    /// That of `text`, its `edition` of this number, or one of an edition that was the newest within the last second; `None`
    /// when the text is better sent as it is. Others who ask for the same meanwhile wait.
    pub async fn find(&self, coding: Coding, edition: i64, text: impl FnOnce() -> Bytes) -> Option<Bytes> {
        let mut made = self.0[coding as usize].lock().await;
        if let Some(made) = made.as_ref()
            && (made.edition == edition || made.at.elapsed() < LATE)
        {
            return made.encoded.clone();
        }
        let encoded = coding.encode_for(Use::Many, text()).await;
        *made = Some(Made { edition, at: Instant::now(), encoded: encoded.clone() });
        encoded
    }

    /// What the encodings of a text of so many bytes take at the most, bytes.
    pub fn most(text: usize) -> usize {
        if text < LEAST { 0 } else { Coding::ALL.len() * (text / 2) }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read as _,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    fn decoded(coding: Coding, encoded: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        match coding {
            Coding::Gzip => flate2::read::GzDecoder::new(encoded).read_to_end(&mut text),
            Coding::Brotli => brotli::Decompressor::new(encoded, 4096).read_to_end(&mut text),
        }
        .expect("a whole encoding");
        text
    }

    /// So many bytes in words; no two neighbours alike.
    fn words(bytes: usize) -> Bytes {
        let text: String = (0..).map(|n: u32| format!("word{} ", (n % 97).pow(2) % 97)).take(bytes / 5).collect();
        Bytes::from(text.into_bytes()).slice(..bytes)
    }

    /// Bytes without any pattern.
    fn noise(bytes: usize) -> Bytes {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        (0..bytes).map(|_| next()).collect()
    }

    #[tokio::test]
    async fn what_is_encoded_is_smaller_and_the_same_text() {
        for coding in Coding::ALL {
            for bytes in [LEAST, AT_ONCE, AT_ONCE + 1, 1024 * 1024] {
                let text = words(bytes);
                for of in [Use::Once, Use::Many] {
                    let encoded = coding.encode_for(of, text.clone()).await.expect("it is worth it");
                    assert!(encoded.len() <= bytes / 2, "{coding:?} {bytes}: {}", encoded.len());
                    assert_eq!(decoded(coding, &encoded), text, "{coding:?} {bytes}");
                }
            }
        }
    }

    #[tokio::test]
    async fn what_is_small_or_gets_no_smaller_is_left_as_it_is() {
        for coding in Coding::ALL {
            assert_eq!(coding.encode(words(LEAST - 1)).await, None);
            assert_eq!(coding.encode(noise(4 * LEAST)).await, None);
            // A third of it is text: worth sending, and not worth keeping.
            let mixed: Bytes = [noise(8 * LEAST), words(4 * LEAST)].concat().into();
            assert_eq!(Encodings::default().find(coding, 0, || mixed.clone()).await, None);
            assert_eq!(decoded(coding, &coding.encode(mixed.clone()).await.expect("smaller")), mixed);
        }
    }

    #[tokio::test]
    async fn an_encoding_is_made_once_for_all_who_ask_and_what_is_kept_has_a_bound() {
        let (encodings, made) = (Encodings::default(), AtomicUsize::new(0));
        let text = || {
            made.fetch_add(1, Ordering::Relaxed);
            words(5 * AT_ONCE)
        };
        let mut kept = 0;
        for (coding, times) in [(Coding::Gzip, 1), (Coding::Brotli, 2)] {
            // Large enough to be made elsewhere, so that the others come before it is done.
            let clone = encodings.clone();
            let ask = || clone.find(coding, 0, text);
            let (first, second, third) = tokio::join!(ask(), ask(), ask());
            assert!(first.is_some() && first == second && second == third);
            assert_eq!(encodings.find(coding, 0, text).await, first);
            assert_eq!(made.load(Ordering::Relaxed), times, "{coding:?}");
            kept += first.map_or(0, |encoded| encoded.len());
        }
        assert!(kept <= Encodings::most(5 * AT_ONCE), "{kept}");
        assert_eq!(Encodings::most(LEAST - 1), 0);
    }

    #[tokio::test]
    async fn a_newer_edition_is_encoded_a_second_later_at_the_latest_and_the_same_one_never_again() {
        let (encodings, made) = (Encodings::default(), AtomicUsize::new(0));
        let ask = async |edition: i64| {
            let text = || {
                made.fetch_add(1, Ordering::Relaxed);
                Bytes::from(format!("{edition}").repeat(LEAST))
            };
            let encoded = encodings.find(Coding::Gzip, edition, text).await.expect("it is worth it");
            decoded(Coding::Gzip, &encoded)[0] - b'0'
        };
        assert_eq!((ask(1).await, ask(2).await, made.load(Ordering::Relaxed)), (1, 1, 1));
        tokio::time::sleep(LATE).await;
        assert_eq!((ask(1).await, made.load(Ordering::Relaxed)), (1, 1), "nothing changed");
        assert_eq!((ask(2).await, ask(3).await, made.load(Ordering::Relaxed)), (2, 2, 2));
    }
}
