//! How many connections there may be: in all, where more wait to be accepted, and of one network, where more are closed.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::Network;

/// Of all places, what one network has where nothing else was said.
const SHARE: u32 = 8;

/// The places for connections.
#[derive(Clone)]
pub struct Clients {
    places: Arc<Semaphore>,
    per_network: u32,
    /// Their connections are those of everybody behind them: only the number of all bounds them.
    proxies: Arc<[IpNet]>,
    taken: Arc<Mutex<HashMap<Network, u32>>>,
    most: u32,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    open: AtomicU64,
    closed: AtomicU64,
}

/// A place in all.
pub struct Free(OwnedSemaphorePermit);

/// A place of a network: of one connection, until it is dropped.
pub struct Place {
    _in_all: OwnedSemaphorePermit,
    of_network: Option<Network>,
    clients: Clients,
}

impl Clients {
    /// As many as `most` in all, and an eighth of that of one network.
    pub fn new(most: u32) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most as usize)),
            per_network: most.div_ceil(SHARE),
            proxies: Arc::new([]),
            taken: Arc::default(),
            most,
            counts: Arc::default(),
        }
    }

    /// What one network may have, and which networks are those of proxies.
    #[must_use]
    pub fn with(self, per_network: Option<u32>, proxies: &[IpNet]) -> Self {
        Self { per_network: per_network.unwrap_or(self.per_network), proxies: proxies.into(), ..self }
    }

    /// Waits for a place.
    ///
    /// # Panics
    /// Never: nobody closes the semaphore.
    pub async fn free(&self) -> Free {
        Free(Arc::clone(&self.places).acquire_owned().await.expect("nobody closes it"))
    }

    /// The place of a connection from there; `None` when its network has as many as it may.
    pub fn take(&self, free: Free, peer: IpAddr) -> Option<Place> {
        let peer = peer.to_canonical();
        if self.proxies.iter().any(|proxy| proxy.contains(&peer)) {
            return Some(self.place(free, None));
        }
        let network = Network::of(peer);
        let mut taken = self.taken();
        let of_network = taken.entry(network).or_default();
        if *of_network >= self.per_network {
            self.counts.closed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *of_network += 1;
        drop(taken);
        Some(self.place(free, Some(network)))
    }

    fn place(&self, free: Free, of_network: Option<Network>) -> Place {
        self.counts.open.fetch_add(1, Ordering::Relaxed);
        Place { _in_all: free.0, of_network, clients: self.clone() }
    }

    /// Connections that are open.
    pub fn open(&self) -> u64 {
        self.counts.open.load(Ordering::Relaxed)
    }

    /// Connections that there may be.
    pub fn most(&self) -> u32 {
        self.most
    }

    /// Connections that were closed, since the start, because their network had as many as it may.
    pub fn closed(&self) -> u64 {
        self.counts.closed.load(Ordering::Relaxed)
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Network, u32>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.clients.counts.open.fetch_sub(1, Ordering::Relaxed);
        let Some(network) = &self.of_network else { return };
        let mut taken = self.clients.taken();
        if let Some(count) = taken.get_mut(network) {
            *count -= 1;
            if *count == 0 {
                taken.remove(network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    async fn take(clients: &Clients, peer: &str) -> Option<Place> {
        clients.take(clients.free().await, address(peer))
    }

    #[tokio::test]
    async fn a_network_has_an_eighth_and_gets_back_what_it_leaves() {
        let clients = Clients::new(16);
        let first = take(&clients, "10.0.0.1").await.expect("a place");
        let _second = take(&clients, "10.0.0.2").await.expect("the same network");
        assert!(take(&clients, "10.0.0.3").await.is_none());
        assert!(take(&clients, "::ffff:10.0.0.3").await.is_none(), "the same in other letters");
        let _other = take(&clients, "10.0.1.1").await.expect("another network");
        drop(first);
        assert!(take(&clients, "10.0.0.3").await.is_some());
        assert_eq!(clients.taken().len(), 2);
        assert_eq!((clients.open(), clients.closed()), (2, 2));
    }

    #[tokio::test]
    async fn a_proxy_has_as_many_as_there_are() {
        let clients = Clients::new(8).with(None, &["10.0.0.0/8".parse().expect("a network")]);
        let mut places = Vec::new();
        for _ in 0..8 {
            places.push(take(&clients, "10.0.0.1").await.expect("a place"));
        }
        assert_eq!(clients.places.available_permits(), 0);
        assert!(clients.taken().is_empty());
    }
}
