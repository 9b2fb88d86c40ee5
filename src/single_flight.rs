//! What several ask for at the same time is made once: the first makes it, and the others get what it made.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// What is being made.
pub struct SingleFlight<K, V> {
    under_way: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
}

/// Whoever asks is the first, or comes while another makes it.
pub enum Joined<K: Eq + Hash, V> {
    First(Flight<K, V>),
    Other(Other<V>),
}

/// Makes what others wait for. Dropped without [`Flight::land`], it lets each of them make it for themselves.
pub struct Flight<K: Eq + Hash, V> {
    flights: SingleFlight<K, V>,
    key: K,
    told: watch::Sender<Option<V>>,
}

/// Waits for what another makes.
pub struct Other<V>(watch::Receiver<Option<V>>);

impl<K, V> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self { under_way: Arc::default() }
    }
}

impl<K: Clone + Eq + Hash, V> SingleFlight<K, V> {
    pub fn join(&self, key: K) -> Joined<K, V> {
        let mut under_way = self.lock();
        if let Some(other) = under_way.get(&key) {
            return Joined::Other(Other(other.clone()));
        }
        let (told, waits) = watch::channel(None);
        under_way.insert(key.clone(), waits);
        Joined::First(Flight { flights: Self { under_way: Arc::clone(&self.under_way) }, key, told })
    }
}

impl<K, V> SingleFlight<K, V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, watch::Receiver<Option<V>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, V> Flight<K, V> {
    pub fn land(self, made: V) {
        self.told.send_replace(Some(made));
    }
}

impl<K: Eq + Hash, V> Drop for Flight<K, V> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}

impl<V: Clone> Other<V> {
    /// What was made; `None` when its maker failed or went away.
    pub async fn landed(mut self) -> Option<V> {
        self.0.wait_for(Option::is_some).await.ok().and_then(|made| made.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(flights: &SingleFlight<&'static str, u32>) -> Flight<&'static str, u32> {
        match flights.join("key") {
            Joined::First(flight) => flight,
            Joined::Other(_) => panic!("another makes it"),
        }
    }

    fn other(flights: &SingleFlight<&'static str, u32>) -> Other<u32> {
        match flights.join("key") {
            Joined::Other(other) => other,
            Joined::First(_) => panic!("nobody makes it"),
        }
    }

    #[tokio::test]
    async fn others_get_what_the_first_made_and_nothing_of_one_that_failed() {
        let flights = SingleFlight::default();
        let flight = first(&flights);
        assert!(matches!(flights.join("another"), Joined::First(_)));
        let (one, two) = (other(&flights), other(&flights));
        flight.land(7);
        assert_eq!((one.landed().await, two.landed().await), (Some(7), Some(7)));

        // What landed is not kept: the next one makes it anew.
        let flight = first(&flights);
        let one = other(&flights);
        drop(flight);
        assert_eq!(one.landed().await, None);
        first(&flights);
        assert!(flights.lock().is_empty());
    }
}
