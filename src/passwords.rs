//! Passwords: argon2id, at most as many at once as there are processors.
//!
//! A stored hash never leaves the database. The server gets its salt and parameters, hashes what somebody typed with
//! them, and the database compares. For an e-mail that nobody has, the same work is done with a salt of no one, so that
//! the answer takes as long.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use rand::{TryRng as _, rngs::SysRng};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Semaphore;

use crate::domain::problem::Problem;

/// How long a request waits for its turn to hash: who logs in waits no longer, whoever else tries.
const WAIT: Duration = Duration::from_secs(1);
/// A larger memory cost than any of ours, KiB: a damaged row must not take the machine's memory.
const MAX_MEMORY: u32 = 1 << 18;

/// Algorithm, version, parameters and salt, in the form in which a stored hash begins: `$argon2id$v=19$...$salt$`.
pub struct Salt(String);

impl Salt {
    /// A new one, of the operating system's random source and with the parameters that new passwords get.
    pub fn fresh() -> Self {
        let mut salt = [0_u8; 16];
        SysRng.try_fill_bytes(&mut salt).expect("the operating system's random source answers");
        let params = Params::default();
        let (m, t, p) = (params.m_cost(), params.t_cost(), params.p_cost());
        Self(format!("$argon2id$v=19$m={m},t={t},p={p}${}$", STANDARD_NO_PAD.encode(salt)))
    }

    /// The beginning of a stored hash, or one of no one.
    pub fn stored(salt: Option<String>) -> Self {
        salt.map_or_else(Self::fresh, Self)
    }

    /// The whole hash of `password`, PHC form, worked out in this memory.
    fn hash(&self, password: &str, memory: &mut Vec<Block>) -> Option<String> {
        let mut parts = self.0.strip_prefix("$argon2id$v=19$")?.split('$');
        let (params, salt) = (parts.next()?, STANDARD_NO_PAD.decode(parts.next()?).ok()?);
        let mut costs = params.split(',').zip(["m=", "t=", "p="]);
        let mut cost = || costs.next().and_then(|(text, name)| text.strip_prefix(name)?.parse::<u32>().ok());
        let (m, t, p) = (cost()?, cost()?, cost()?);
        let params = Params::new(m.min(MAX_MEMORY), t, p, None).ok()?;
        let mut out = [0_u8; Params::DEFAULT_OUTPUT_LEN];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let blocks = argon2.params().block_count();
        if memory.len() < blocks {
            memory.resize(blocks, Block::default());
        }
        argon2.hash_password_into_with_memory(password.as_bytes(), &salt, &mut out, &mut memory[..blocks]).ok()?;
        Some(format!("{}{}", self.0, STANDARD_NO_PAD.encode(out)))
    }
}

/// The PHC form of a new password's hash. Takes some 20 ms of a processor.
///
/// # Panics
/// Never: a fresh salt is one that can be hashed with.
pub fn hash(password: &str) -> String {
    Salt::fresh().hash(password, &mut Vec::new()).expect("a fresh salt has valid parameters")
}

/// Hashes passwords off the request threads.
#[derive(Clone)]
pub struct Hasher {
    turns: Arc<Semaphore>,
    /// What is not in use, of as many as there are turns: memory that is taken anew each time is never given back whole.
    memory: Arc<Mutex<Vec<Vec<Block>>>>,
}

impl Default for Hasher {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { turns: Arc::new(Semaphore::new(processors)), memory: Arc::default() }
    }
}

impl Hasher {
    /// The hash of `password` with this salt, PHC form.
    ///
    /// # Errors
    /// `503 overloaded` when too many wait; `500` when the stored salt is damaged.
    pub async fn hash(&self, salt: Salt, password: String) -> Result<String, Problem> {
        let turn = tokio::time::timeout(WAIT, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| Problem::overloaded("too many passwords wait to be hashed"))?;
        let free = Arc::clone(&self.memory);
        let hashing = tokio::task::spawn_blocking(move || {
            let taken = || free.lock().unwrap_or_else(PoisonError::into_inner);
            let mut memory = taken().pop().unwrap_or_default();
            let hash = salt.hash(&password, &mut memory);
            taken().push(memory);
            // Held here and not by the request, which may be gone before the work is done.
            drop(turn);
            hash
        });
        let hash = hashing.await.map_err(Problem::internal)?;
        hash.ok_or_else(|| Problem::internal("a stored password has parameters that cannot be used"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_password_and_salt_give_the_same_hash_and_another_password_another() {
        let whole = hash("correct horse battery staple");
        let end = whole.rfind('$').expect("PHC") + 1;
        let salt = || Salt::stored(Some(whole[..end].to_owned()));
        let mut memory = Vec::new();
        assert_eq!(salt().hash("correct horse battery staple", &mut memory).as_ref(), Some(&whole));
        assert_ne!(salt().hash("correct horse battery stapler", &mut memory), Some(whole.clone()));
        assert_ne!(hash("correct horse battery staple"), whole, "each has a salt of its own");
    }

    #[test]
    fn our_hash_is_what_the_libraries_own_verifier_accepts() {
        use argon2::{PasswordVerifier as _, password_hash::phc::PasswordHash};
        let whole = hash("secret");
        let parsed = PasswordHash::new(&whole).expect("PHC");
        assert!(Argon2::default().verify_password(b"secret", &parsed).is_ok());
        assert!(Argon2::default().verify_password(b"Secret", &parsed).is_err());
    }

    #[test]
    fn a_damaged_salt_is_none() {
        for bad in ["", "$argon2id$v=19$m=1,t=1$c2FsdA$", "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$", "x"] {
            assert_eq!(Salt::stored(Some(bad.to_owned())).hash("x", &mut Vec::new()), None, "{bad}");
        }
    }
}
