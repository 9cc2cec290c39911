//! The rules that every keeper of users and sign-ins keeps.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use wellspring_store::accounts::Right;
use wellspring_store::clock::{Clock, TestClock};
use wellspring_store::users::{MOST_SIGN_INS, NewUser, Renewal, TokenHash, UserName, Users};
use wellspring_store::*;

use super::fixture::{kind, tenant};

/// What is under test.
pub(crate) struct People {
    pub(crate) users: Arc<dyn Users>,
    pub(crate) clock: TestClock,
}

fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

fn ada() -> NewUser {
    NewUser {
        name: name("Ada"),
        tenant: tenant("one"),
        password: "$argon2id$'); DROP TABLE users; --".to_owned(),
        rights: [Right::Read].into_iter().collect(),
        groups: BTreeSet::from(["ops".to_owned(), "a \"group\"".to_owned()]),
    }
}

impl People {
    /// The hash of a secret that is good for this many seconds.
    fn token(&self, secret: &str, seconds: i64) -> TokenHash {
        TokenHash {
            hash: *blake3::hash(secret.as_bytes()).as_bytes(),
            expires_at: self.clock.now() + seconds * 1_000_000,
        }
    }

    async fn sign_in(&self, id: &str) {
        let (access, refresh) = (self.token("access 1", 60), self.token("refresh 1", 600));
        let (_, password) = self.users.user(&name("ada")).await.unwrap().unwrap();
        self.users.sign_in(&name("ada"), &password, id, access, refresh).await.unwrap();
    }

    async fn renew(&self, id: &str, presented: &str, number: u8) -> Renewal {
        let (access, refresh) =
            (self.token(&format!("access {number}"), 60), self.token(&format!("refresh {number}"), 600));
        let presented = *blake3::hash(presented.as_bytes()).as_bytes();
        self.users.renew(id, presented, access, refresh).await.unwrap()
    }
}

pub(crate) async fn a_user_comes_back_as_it_was_given(p: &People) {
    let made = p.users.create_user(ada()).await.unwrap();
    let (found, password) = p.users.user(&name("ADA")).await.unwrap().unwrap();
    assert_eq!((&found, password), (&made, ada().password));
    assert_eq!((made.name.as_str(), &made.groups), ("ada", &ada().groups));
    assert!(p.users.user(&name("ada'--")).await.unwrap().is_none());
    let other = NewUser { tenant: tenant("two"), ..ada() };
    assert_eq!(kind(p.users.create_user(other).await), ErrorKind::Conflict, "a name is one in all tenants");
    let none = NewUser { name: name("none"), rights: [].into_iter().collect(), ..ada() };
    assert_eq!(kind(p.users.create_user(none).await), ErrorKind::Invalid);
}

pub(crate) async fn users_are_listed_in_pages_and_per_tenant(p: &People) {
    for (who, of) in [("c", "one"), ("a", "two"), ("b", "one"), ("d", "one")] {
        p.users.create_user(NewUser { name: name(who), tenant: tenant(of), ..ada() }).await.unwrap();
    }
    let shown = |page: &catalog::Page<users::User>| {
        page.items.iter().map(|user| user.name.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&p.users.users(None, None, 100).await.unwrap()), ["b", "c", "d", "a"]);
    let one = tenant("one");
    let first = p.users.users(Some(&one), None, 2).await.unwrap();
    let second = p.users.users(Some(&one), first.next.as_deref(), 2).await.unwrap();
    assert_eq!(
        (shown(&first), shown(&second), second.next),
        (vec!["b".into(), "c".into()], vec!["d".into()], None)
    );
}

pub(crate) async fn a_sign_in_lasts_as_long_as_its_tokens(p: &People) {
    p.users.create_user(ada()).await.unwrap();
    p.sign_in("s1").await;
    let (user, hash) = p.users.signed_in("s1").await.unwrap().unwrap();
    assert_eq!((user.name, hash), (name("ada"), p.token("access 1", 0).hash));
    assert!(p.users.signed_in("s2").await.unwrap().is_none());
    p.clock.advance(Duration::from_secs(60));
    assert!(p.users.signed_in("s1").await.unwrap().is_none(), "the access token has expired");
    assert!(p.users.is_signed_in("s1").await.unwrap(), "the sign-in has not");
    assert!(
        matches!(p.renew("s1", "refresh 1", 2).await, Renewal::Renewed(user) if user.name == name("ada"))
    );
    assert_eq!(p.users.signed_in("s1").await.unwrap().unwrap().1, p.token("access 2", 0).hash);
    p.clock.advance(Duration::from_secs(600));
    assert!(!p.users.is_signed_in("s1").await.unwrap());
    assert_eq!(p.renew("s1", "refresh 2", 3).await, Renewal::Unknown);
    p.users.sign_out("s1").await.unwrap();
    p.users.sign_out("s1").await.unwrap();
    assert_eq!(
        kind(p.users.sign_in(&name("nobody"), "", "x", p.token("a", 9), p.token("b", 9)).await),
        ErrorKind::NotFound
    );
}

pub(crate) async fn a_token_that_was_replaced_ends_the_sign_in(p: &People) {
    p.users.create_user(ada()).await.unwrap();
    p.sign_in("s1").await;
    p.sign_in("s2").await;
    assert!(matches!(p.renew("s1", "refresh 1", 2).await, Renewal::Renewed(_)));
    // Whoever stole the first one comes late, or the owner does: nobody can tell, so that neither goes on.
    assert_eq!(p.renew("s1", "refresh 1", 3).await, Renewal::Reused(name("ada")));
    assert!(p.users.signed_in("s1").await.unwrap().is_none());
    assert_eq!(p.renew("s1", "refresh 2", 4).await, Renewal::Unknown);
    assert!(p.users.signed_in("s2").await.unwrap().is_some(), "other sign-ins are other devices");
}

pub(crate) async fn a_new_password_and_a_removal_end_every_sign_in(p: &People) {
    p.users.create_user(ada()).await.unwrap();
    p.sign_in("s1").await;
    p.users.set_password(&name("ada"), "new".to_owned()).await.unwrap();
    assert!(!p.users.is_signed_in("s1").await.unwrap());
    assert_eq!(p.users.user(&name("ada")).await.unwrap().unwrap().1, "new");
    p.sign_in("s2").await;
    p.users.remove_user(&name("ada")).await.unwrap();
    assert!(p.users.signed_in("s2").await.unwrap().is_none());
    assert!(p.users.user(&name("ada")).await.unwrap().is_none());
    assert_eq!(kind(p.users.remove_user(&name("ada")).await), ErrorKind::NotFound);
    assert_eq!(kind(p.users.set_password(&name("ada"), "x".to_owned()).await), ErrorKind::NotFound);
    p.users.create_user(ada()).await.unwrap();
    assert!(p.users.signed_in("s2").await.unwrap().is_none(), "a later user of the name is another one");
}

pub(crate) async fn a_disabled_user_is_shut_out_until_it_is_let_in_again(p: &People) {
    let made = p.users.create_user(ada()).await.unwrap();
    assert_eq!(made.disabled_at, None);
    p.sign_in("s1").await;
    p.users.set_disabled(&name("ada"), true).await.unwrap();
    assert!(p.users.signed_in("s1").await.unwrap().is_none());
    assert_eq!(p.renew("s1", "refresh 1", 2).await, Renewal::Unknown);
    let (found, password) = p.users.user(&name("ada")).await.unwrap().unwrap();
    assert_eq!(found.disabled_at.as_deref(), Some("2026-03-01T12:00:00Z"));
    let try_again = async |password: &str| {
        p.users.sign_in(&name("ada"), password, "s2", p.token("a", 9), p.token("b", 9)).await
    };
    assert_eq!(kind(try_again(&password).await), ErrorKind::NotFound);
    p.users.set_disabled(&name("ada"), false).await.unwrap();
    assert!(!p.users.is_signed_in("s1").await.unwrap(), "what was ended stays so");
    try_again(&password).await.unwrap();
    assert_eq!(kind(p.users.set_disabled(&name("nobody"), true).await), ErrorKind::NotFound);
}

/// Hashing takes a while: meanwhile somebody may have found that the password is known, and replaced it.
pub(crate) async fn a_password_replaced_while_it_was_compared_signs_nobody_in(p: &People) {
    p.users.create_user(ada()).await.unwrap();
    let (_, compared) = p.users.user(&name("ada")).await.unwrap().unwrap();
    p.users.set_password(&name("ada"), "new".to_owned()).await.unwrap();
    let late = p.users.sign_in(&name("ada"), &compared, "s1", p.token("a", 9), p.token("b", 9)).await;
    assert_eq!(kind(late), ErrorKind::NotFound);
    assert!(!p.users.is_signed_in("s1").await.unwrap());
}

pub(crate) async fn the_oldest_sign_in_makes_room(p: &People) {
    p.users.create_user(ada()).await.unwrap();
    for number in 0..=MOST_SIGN_INS {
        p.sign_in(&format!("s{number}")).await;
        p.clock.advance(Duration::from_millis(1));
    }
    assert!(!p.users.is_signed_in("s0").await.unwrap());
    assert!(p.users.is_signed_in("s1").await.unwrap());
    assert!(p.users.is_signed_in(&format!("s{MOST_SIGN_INS}")).await.unwrap());
}

/// Hands every rule's name to a macro.
macro_rules! user_rules {
    ($then:ident) => {
        $then! {
            a_user_comes_back_as_it_was_given,
            users_are_listed_in_pages_and_per_tenant,
            a_sign_in_lasts_as_long_as_its_tokens,
            a_token_that_was_replaced_ends_the_sign_in,
            a_new_password_and_a_removal_end_every_sign_in,
            a_disabled_user_is_shut_out_until_it_is_let_in_again,
            a_password_replaced_while_it_was_compared_signs_nobody_in,
            the_oldest_sign_in_makes_room,
        }
    };
}
pub(crate) use user_rules;
