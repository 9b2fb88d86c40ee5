//! Searches without result, once they have settled: of what somebody typed bit by bit, the last.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::store::usage::SiteRef;

/// How long nothing longer may follow until a search has settled.
pub const SETTLES_AFTER: Duration = Duration::from_secs(4);
/// Searches of one network that may still be typed on: people of one office.
const MAX_TYPED: usize = 20;
/// Networks that are looked after between two batches.
const MAX_SEARCHERS: usize = 20_000;

/// What people are typing, by site and by where they are, and found nothing so far.
#[derive(Default)]
pub struct Typing(HashMap<(SiteRef, u64), Vec<(String, Instant)>>);

impl Typing {
    /// Somebody searched. What it goes on with, or takes back, was none by itself; returns what is no fragment of it for sure.
    pub fn searched(&mut self, site: SiteRef, searcher: u64, search: String, found: bool) -> Option<String> {
        let typed = self.0.get_mut(&(site, searcher));
        if let Some(typed) = typed {
            let fragment = |old: &str| old != search && (search.starts_with(old) || old.starts_with(&search));
            typed.retain(|(old, _)| !fragment(old));
            if typed.is_empty() {
                self.0.remove(&(site, searcher));
            }
        }
        if found {
            return None;
        }
        if self.0.len() >= MAX_SEARCHERS && !self.0.contains_key(&(site, searcher)) {
            return Some(search);
        }
        let typed = self.0.entry((site, searcher)).or_default();
        typed.push((search, Instant::now()));
        (typed.len() > MAX_TYPED).then(|| typed.remove(0).0)
    }

    /// Takes what nobody went on with for so long.
    pub fn settled(&mut self, after: Duration) -> Vec<(SiteRef, String)> {
        let mut settled = Vec::new();
        self.0.retain(|(site, _), typed| {
            let (old, young) = std::mem::take(typed).into_iter().partition(|(_, at)| at.elapsed() >= after);
            *typed = young;
            let old: Vec<(String, Instant)> = old;
            settled.extend(old.into_iter().map(|(search, _)| (*site, search)));
            !typed.is_empty()
        });
        settled
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn of_what_is_typed_bit_by_bit_the_last_settles() {
        let (mut typing, site) = (Typing::default(), SiteRef { org_id: Uuid::new_v4(), site_id: Uuid::new_v4() });
        for search in ["pri", "pric", "pricing tabel", "pricing tab", "sso"] {
            assert_eq!(typing.searched(site, 1, search.to_owned(), false), None);
        }
        // Another's, and one that became a word that is found.
        typing.searched(site, 2, "pri".to_owned(), false);
        typing.searched(site, 2, "expx".to_owned(), false);
        typing.searched(site, 2, "exp".to_owned(), true);
        assert_eq!(typing.settled(SETTLES_AFTER), []);
        let mut settled: Vec<String> = typing.settled(Duration::ZERO).into_iter().map(|(_, search)| search).collect();
        settled.sort();
        assert_eq!(settled, ["pri", "pricing tab", "sso"]);
        assert_eq!(typing.len(), 0);
    }

    #[test]
    fn one_network_and_many_cannot_fill_the_memory() {
        let (mut typing, site) = (Typing::default(), SiteRef { org_id: Uuid::new_v4(), site_id: Uuid::new_v4() });
        let over = (0..100).filter_map(|n| typing.searched(site, 1, format!("{n:03}"), false)).count();
        assert_eq!(over, 100 - MAX_TYPED);
        for searcher in 0..2 * MAX_SEARCHERS as u64 {
            typing.searched(site, searcher, "x".to_owned(), false);
        }
        assert_eq!(typing.len(), MAX_SEARCHERS);
    }
}
