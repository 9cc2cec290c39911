//! Passwords: which are taken, how they are hashed (Argon2id), and that an unknown name costs as much time as a wrong password.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Semaphore;

use crate::problem::{Code, Problem};

/// Bytes of salt, as RFC 9106 recommends.
const SALT: usize = 16;
/// Fewest characters of a password.
const SHORTEST: usize = 12;
/// Most bytes of one: hashing reads them all.
pub(crate) const LONGEST: usize = 256;
/// Fewest different characters.
const DIFFERENT: usize = 5;
/// Passwords hashed at once: each takes a core and 19 MiB while it lasts.
const AT_ONCE: usize = 4;
/// A hash of the same costs that no password has: what the password of an unknown name is compared with.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The second parameter set of the OWASP Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane.
fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

/// Says what is wrong with a new password.
pub(crate) fn check(password: &str, name: &str) -> Result<(), String> {
    if password.len() > LONGEST {
        return Err(format!("a password is at most {LONGEST} bytes"));
    }
    let characters = password.chars().count();
    if characters < SHORTEST {
        return Err(format!("a password is at least {SHORTEST} characters; this one has {characters}"));
    }
    let different: std::collections::BTreeSet<char> = password.chars().collect();
    if different.len() < DIFFERENT {
        return Err("the password can be guessed: it repeats a few characters".to_owned());
    }
    if password.to_lowercase().contains(&name.to_lowercase()) && name.chars().count() > 2 {
        return Err("the password holds the name that it belongs to".to_owned());
    }
    Ok(())
}

/// Hashes a password with a salt of its own. Takes tens of milliseconds: not for asynchronous threads.
pub(crate) fn hash(password: &str) -> anyhow::Result<String> {
    let mut salt = [0; SALT];
    SystemRandom::new().fill(&mut salt).map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    let hash = argon2().hash_password_with_salt(password.as_bytes(), &salt);
    Ok(hash.map_err(|error| anyhow::anyhow!("the password can't be hashed: {error}"))?.to_string())
}

fn matches(password: &str, hash: Option<&str>) -> bool {
    let known = hash.is_some();
    // The costs are those that stand in the hash.
    let right = argon2().verify_password(password.as_bytes(), hash.unwrap_or(NOBODY)).is_ok();
    known && right
}

/// Hashes and compares off the asynchronous threads, a few at once; more are refused.
#[derive(Debug, Clone)]
pub(crate) struct Passwords(Arc<Semaphore>);

impl Passwords {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// The hash to keep of a new password.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Problem> {
        Ok(self.work(move || hash(&password)).await??)
    }

    /// Whether the password has this hash; without one (nobody has the name) it takes the same time and is `false`.
    pub(crate) async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Problem> {
        self.work(move || matches(&password, hash.as_deref())).await
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let busy = || {
            Problem::new(Code::Unavailable, "too many passwords are being checked; try again")
                .retry_after(Duration::from_secs(1))
        };
        let place = Arc::clone(&self.0).try_acquire_owned().map_err(|_| busy())?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await.map_err(|panic| {
            tracing::error!(%panic, "a password could not be checked");
            Problem::new(Code::Internal, "the server failed to check the password")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_its_own_hash_and_no_other_one() {
        let kept = hash("correct horse battery").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, hash("correct horse battery").unwrap(), "every hash has a salt of its own");
        assert!(matches("correct horse battery", Some(&kept)));
        for wrong in ["correct horse batter", "Correct horse battery", "", "correct horse battery\0"] {
            assert!(!matches(wrong, Some(&kept)), "{wrong:?}");
        }
        assert!(!matches("x", Some("no hash")));
    }

    #[test]
    fn the_hash_that_nobody_has_costs_what_every_other_does() {
        let costs = |hash: &str| hash.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(costs(NOBODY), costs(&hash("correct horse battery").unwrap()));
        let parsed = argon2::password_hash::phc::PasswordHash::new(NOBODY).unwrap();
        assert_eq!(parsed.hash.unwrap().len(), 32);
        assert!(!matches("correct horse battery", None));
    }

    #[test]
    fn passwords_that_are_guessed_first_are_refused() {
        for (bad, name) in [
            ("short", "ada"),
            ("aaaaaaaaaaaaaaaa", "ada"),
            ("abababababababab", "ada"),
            ("my name is Ada!!", "ada"),
            (&"x1!y2?z3".repeat(40), "ada"),
        ] {
            let why = check(bad, name).unwrap_err();
            assert!(!why.contains(bad), "the password is repeated nowhere");
        }
        check("correct horse battery", "ada").unwrap();
        check("пароль из слов", "ada").unwrap();
    }
}
