//! How many bytes of bodies may be in memory at once, in all and for one client network: what does not fit waits a while
//! and is then answered `503 overloaded`, so that a hundred uploads at once cost time and not the process. Taken as bytes
//! arrive, not as they are announced. Text, uploads and downloads have a budget each: whoever sends files keeps nobody from
//! writing, and whoever reads slowly keeps nobody from sending.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::{domain::problem::Problem, limits::Network};

const MIB: u64 = 1024 * 1024;

/// How long a request waits for others to give memory back. Nothing is read from it meanwhile.
const WAIT: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Taken {
    all: u64,
    by_network: HashMap<Network, u64>,
}

/// Memory for bodies of one kind.
#[derive(Clone)]
pub struct MemoryBudget(Arc<Inner>);

struct Inner {
    /// In all, bytes.
    most: u64,
    /// For one client network, bytes.
    per_network: u64,
    taken: Mutex<Taken>,
    given_back: Notify,
}

impl MemoryBudget {
    fn of(most: u64, per_network: u64) -> Self {
        Self(Arc::new(Inner { most, per_network, taken: Mutex::default(), given_back: Notify::new() }))
    }

    /// For text: forms and JSON.
    pub fn of_text() -> Self {
        Self::of(48 * MIB, 12 * MIB)
    }

    /// For files: five uploads of the largest size, two for one network. An upload takes up to twice its size for the moment
    /// in which its parts are told apart.
    pub fn of_files() -> Self {
        Self::of(128 * MIB, 52 * MIB)
    }

    /// For mail that comes in, from few servers: five of the largest size.
    pub fn of_mail() -> Self {
        Self::of(128 * MIB, 128 * MIB)
    }

    /// A part of nothing, to grow.
    pub fn reserve(&self, network: Network) -> Reservation {
        Reservation { budget: self.clone(), network, bytes: 0 }
    }

    /// Takes `bytes` until the reservation is dropped, as soon as there is room.
    ///
    /// # Errors
    /// `503 overloaded` when there is none for too long.
    pub async fn wait(&self, network: Network, bytes: u64) -> Result<Reservation, Problem> {
        let taken = tokio::time::timeout(WAIT, async {
            loop {
                let mut given_back = std::pin::pin!(self.0.given_back.notified());
                given_back.as_mut().enable();
                if let Ok(reservation) = self.take(network, bytes) {
                    return reservation;
                }
                given_back.await;
            }
        });
        taken.await.or_else(|_| self.take(network, bytes))
    }

    /// Takes `bytes` until the reservation is dropped.
    ///
    /// # Errors
    /// `503 overloaded` when there is no room now.
    pub fn take(&self, network: Network, bytes: u64) -> Result<Reservation, Problem> {
        let mut taken = self.lock();
        let of_network = taken.by_network.get(&network).copied().unwrap_or_default();
        if taken.all + bytes > self.0.most || of_network + bytes > self.0.per_network {
            return Err(Problem::overloaded("too much is being sent at once"));
        }
        taken.all += bytes;
        taken.by_network.insert(network, of_network + bytes);
        drop(taken);
        Ok(Reservation { budget: self.clone(), network, bytes })
    }

    /// What is taken now, and what may be, bytes.
    pub fn taken(&self) -> (u64, u64) {
        (self.lock().all, self.0.most)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of a [`MemoryBudget`].
pub struct Reservation {
    budget: MemoryBudget,
    network: Network,
    bytes: u64,
}

impl Reservation {
    /// Takes so many bytes more, as soon as there is room.
    ///
    /// # Errors
    /// `503 overloaded` when there is none for too long.
    pub async fn grow(&mut self, bytes: u64) -> Result<(), Problem> {
        let mut more = self.budget.wait(self.network, bytes).await?;
        self.bytes += std::mem::take(&mut more.bytes);
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut taken = self.budget.lock();
        taken.all -= self.bytes;
        let left = taken.by_network.get(&self.network).copied().unwrap_or_default().saturating_sub(self.bytes);
        if left == 0 {
            taken.by_network.remove(&self.network);
        } else {
            taken.by_network.insert(self.network, left);
        }
        drop(taken);
        self.budget.0.given_back.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::domain::problem::Code;

    const LARGEST: u64 = 25 * 1024 * 1024;

    fn network(n: u8) -> Network {
        Network::of(IpAddr::from([10, 0, n, 1]))
    }

    #[test]
    fn a_network_has_two_and_all_have_five_of_the_largest() {
        let budget = MemoryBudget::of_files();
        let mut shares = Vec::new();
        for n in [1, 1, 2, 2, 3] {
            shares.push(budget.take(network(n), LARGEST).expect("there is budget"));
        }
        assert_eq!(budget.take(network(1), LARGEST).err().map(|problem| problem.code), Some(Code::Overloaded));
        assert!(budget.take(network(9), LARGEST).is_err());
        assert!(budget.take(network(9), 1024).is_ok(), "a small one fits");
        shares.remove(0);
        assert!(budget.take(network(9), LARGEST).is_ok());
    }

    #[tokio::test]
    async fn who_waits_is_let_in_when_somebody_leaves() {
        let budget = MemoryBudget::of_files();
        let first = budget.take(network(1), LARGEST).expect("there is budget");
        let _second = budget.take(network(1), LARGEST).expect("there is budget");
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.wait(network(1), LARGEST).await.is_ok() }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished());
        drop(first);
        assert_eq!(waiting.await.ok(), Some(true));
    }

    #[tokio::test]
    async fn what_grows_is_given_back_whole() {
        let budget = MemoryBudget::of_text();
        let mut body = budget.reserve(network(1));
        for _ in 0..3 {
            body.grow(MIB).await.expect("there is room");
        }
        assert_eq!(budget.lock().all, 3 * MIB);
        drop(body);
        assert_eq!(budget.lock().all, 0);
    }

    #[test]
    fn what_was_given_back_is_forgotten() {
        let budget = MemoryBudget::of_files();
        drop(budget.take(network(1), LARGEST));
        let taken = budget.lock();
        assert_eq!((taken.all, taken.by_network.len()), (0, 0));
    }
}
