//! Whose turn it is: connections go to whoever asks first, but one that becomes free goes first to a tenant that holds less
//! than half of them. So one org's slow pages cost itself, and not everybody. None is taken away from a request that has it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::domain::keys::Sha256Digest;

/// Among whom turns are shared: the digest of what a request says it is about, whether or not that is true; `None` for all
/// that is about nobody.
pub type Tenant = Option<Sha256Digest>;

/// As many turns as there are connections.
pub struct Turns {
    size: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: usize,
    by_tenant: HashMap<Tenant, usize>,
    /// In the order in which they came.
    waiting: VecDeque<(Tenant, oneshot::Sender<Turn>)>,
}

/// The right to a connection, until it is dropped.
pub struct Turn {
    turns: Arc<Turns>,
    tenant: Tenant,
}

impl Turns {
    pub fn new(size: usize) -> Arc<Self> {
        Arc::new(Self { size, state: Mutex::default() })
    }

    /// Waits for a turn of this tenant.
    pub async fn turn(self: &Arc<Self>, tenant: Tenant) -> Turn {
        let turn = {
            let mut state = self.state();
            if state.held < self.size {
                state.take(tenant);
                return Turn { turns: Arc::clone(self), tenant };
            }
            let (sender, turn) = oneshot::channel();
            state.waiting.push_back((tenant, sender));
            turn
        };
        turn.await.expect("a turn is dropped only when nobody waits for it")
    }

    /// How many are held, and how many are waited for.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.held, state.waiting.iter().filter(|(_, sender)| !sender.is_closed()).count())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, tenant: Tenant) {
        self.held += 1;
        *self.by_tenant.entry(tenant).or_default() += 1;
    }

    fn give_back(&mut self, tenant: Tenant) {
        self.held -= 1;
        if let Some(held) = self.by_tenant.get_mut(&tenant) {
            *held -= 1;
            if *held == 0 {
                self.by_tenant.remove(&tenant);
            }
        }
    }

    /// The first who holds less than half, and where there is none, the first.
    fn next(&mut self, size: usize) -> Option<(Tenant, oneshot::Sender<Turn>)> {
        self.waiting.retain(|(_, sender)| !sender.is_closed());
        let held = |tenant| self.by_tenant.get(tenant).copied().unwrap_or_default();
        let poor = self.waiting.iter().position(|(tenant, _)| held(tenant) < size.div_ceil(2));
        let (tenant, sender) = self.waiting.remove(poor.unwrap_or(0))?;
        self.take(tenant);
        Some((tenant, sender))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut state = self.turns.state();
            state.give_back(self.tenant);
            state.next(self.turns.size)
        };
        if let Some((tenant, sender)) = next {
            // Whoever waits no longer hands it on, by this very drop.
            drop(sender.send(Turn { turns: Arc::clone(&self.turns), tenant }));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::JoinHandle;

    use super::*;

    fn tenant(name: &str) -> Sha256Digest {
        Sha256Digest::of(name.as_bytes())
    }

    async fn waits(turns: &Arc<Turns>, name: &str) -> JoinHandle<Turn> {
        let (turns, tenant) = (Arc::clone(turns), Some(tenant(name)));
        let waiting = tokio::spawn(async move { turns.turn(tenant).await });
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(!waiting.is_finished());
        waiting
    }

    async fn has_turn(waiting: JoinHandle<Turn>) -> Turn {
        tokio::time::timeout(Duration::from_secs(1), waiting).await.expect("its turn").expect("no panic")
    }

    #[tokio::test(start_paused = true)]
    async fn alone_a_tenant_has_all_and_beside_another_half() {
        let turns = Turns::new(4);
        let mut a = Vec::new();
        for _ in 0..4 {
            a.push(turns.turn(Some(tenant("a"))).await);
        }
        let (more_of_a, of_b, more_of_b) =
            (waits(&turns, "a").await, waits(&turns, "b").await, waits(&turns, "b").await);
        a.pop();
        let b = has_turn(of_b).await;
        a.pop();
        let second_b = has_turn(more_of_b).await;
        assert!(!more_of_a.is_finished(), "a holds half, and nobody else waits: it is next when a turn is free");
        drop(b);
        let third_a = has_turn(more_of_a).await;
        drop((a, second_b, third_a));
        let state = turns.state();
        assert_eq!((state.held, state.by_tenant.len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gave_up_waiting_holds_nobody_up() {
        let turns = Turns::new(1);
        let first = turns.turn(Some(tenant("a"))).await;
        waits(&turns, "b").await.abort();
        let third = waits(&turns, "c").await;
        drop(first);
        drop(has_turn(third).await);
        assert_eq!(turns.state().held, 0);
    }
}
