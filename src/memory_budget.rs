//! How many bytes of files may be in memory at once, in all and for one client network: what does not fit waits a while
//! and is then answered `503 overloaded`, so that a hundred uploads at once cost time and not the process. Uploads and downloads have a budget
//! each: whoever reads slowly keeps nobody from sending.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::{domain::problem::Problem, limits::Network};

/// In all, bytes. An upload takes up to twice its size for the moment in which its parts are told apart.
const MAX_BYTES: u64 = 128 * 1024 * 1024;
/// For one client network, bytes: two uploads of the largest size.
const MAX_BYTES_PER_NETWORK: u64 = 52 * 1024 * 1024;

/// How long a request waits for others to give memory back. Nothing is read from it meanwhile.
const WAIT: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Taken {
    all: u64,
    by_network: HashMap<Network, u64>,
}

/// Memory for files.
#[derive(Clone, Default)]
pub struct MemoryBudget(Arc<Inner>);

#[derive(Default)]
struct Inner {
    taken: Mutex<Taken>,
    given_back: Notify,
}

impl MemoryBudget {
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
        if taken.all + bytes > MAX_BYTES || of_network + bytes > MAX_BYTES_PER_NETWORK {
            return Err(Problem::overloaded("too many files are being sent at once"));
        }
        taken.all += bytes;
        taken.by_network.insert(network, of_network + bytes);
        drop(taken);
        Ok(Reservation { budget: self.clone(), network, bytes })
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
        let budget = MemoryBudget::default();
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
        let budget = MemoryBudget::default();
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

    #[test]
    fn what_was_given_back_is_forgotten() {
        let budget = MemoryBudget::default();
        drop(budget.take(network(1), LARGEST));
        let taken = budget.lock();
        assert_eq!((taken.all, taken.by_network.len()), (0, 0));
    }
}
