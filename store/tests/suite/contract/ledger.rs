//! The rules that every book-keeping store keeps, as functions over the trait and the clock it was opened with.

use std::sync::Arc;
use std::time::Duration;

use wellspring_store::clock::TestClock;
use wellspring_store::ledger::{
    Amount, Balance, Balances, Ceiling, Ceilings, EntryKey, Exceeded, Holder, NewEntry, Settlement, Unit,
};
use wellspring_store::{ErrorKind, Ledger};

use super::fixture::tenant;

/// A ledger under test.
pub(crate) struct Books {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: TestClock,
}

fn amount(input_tokens: u64, output_tokens: u64, micros: u64) -> Amount {
    Amount { input_tokens, output_tokens, micros, ..Amount::default() }
}

/// A call of the tenant `acme` that may cost 60 + 40 tokens and 1000 micros.
fn entry(request: &str, key: Option<&str>) -> NewEntry {
    NewEntry {
        tenant: tenant("acme"),
        key: key.map(str::to_owned),
        request: request.to_owned(),
        purpose: "answer".to_owned(),
        model: "m".to_owned(),
        worst: amount(60, 40, 1_000),
    }
}

fn tokens(limit: u64) -> Ceiling {
    Ceiling { tokens: Some(limit), micros: None }
}

impl Books {
    async fn reserve(&self, entry: NewEntry, ceilings: Ceilings) -> Result<EntryKey, Exceeded> {
        self.ledger.reserve(entry, ceilings).await.unwrap()
    }

    async fn open(&self, entry: NewEntry) -> EntryKey {
        self.reserve(entry, Ceilings::default()).await.unwrap()
    }

    async fn balances(&self, key: Option<&str>) -> Balances {
        self.ledger.balances(&tenant("acme"), key).await.unwrap()
    }
}

pub(crate) async fn a_call_is_reserved_at_its_worst_and_settled_at_what_it_used(books: &Books) {
    let key = books.open(entry("r", Some("k"))).await;
    let reserved = Balance { tokens: 100, micros: 1_000 };
    assert_eq!(books.balances(Some("k")).await, Balances { key: reserved, tenant: reserved, day: reserved });
    let today = books.ledger.today();
    assert!(books.ledger.usage(&tenant("acme"), None, today, today).await.unwrap().is_empty());
    let used = Amount { cached_input_tokens: 10, ..amount(50, 5, 300) };
    assert!(books.ledger.settle(key, Settlement::Told(used)).await.unwrap());
    assert_eq!(books.balances(Some("k")).await.day, Balance { tokens: 55, micros: 300 });
    assert_eq!(books.balances(Some("other")).await.key, Balance::default());
    let rows = books.ledger.usage(&tenant("acme"), None, today, today).await.unwrap();
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((row.day.as_str(), row.purpose.as_str(), row.model.as_str()), ("2026-03-01", "answer", "m"));
    assert_eq!((row.calls, row.estimated, row.amount), (1, 0, used));
}

pub(crate) async fn a_call_is_settled_once(books: &Books) {
    let key = books.open(entry("r", None)).await;
    assert!(books.ledger.settle(key, Settlement::Estimated(amount(1, 1, 1))).await.unwrap());
    assert!(!books.ledger.settle(key, Settlement::Worst).await.unwrap());
    assert_eq!(books.balances(None).await.tenant, Balance { tokens: 2, micros: 1 });
}

pub(crate) async fn what_was_not_used_leaves_no_trace(books: &Books) {
    let key = books.open(entry("r", Some("k"))).await;
    books.ledger.settle(key, Settlement::Nothing).await.unwrap();
    assert_eq!(books.balances(Some("k")).await, Balances::default());
    let today = books.ledger.today();
    assert!(books.ledger.usage(&tenant("acme"), None, today, today).await.unwrap().is_empty());
}

pub(crate) async fn every_ceiling_refuses_and_is_named(books: &Books) {
    let none = Ceilings::default();
    let money = Ceiling { tokens: None, micros: Some(1_500) };
    for (holder, unit, ceilings) in [
        (Holder::Request, Unit::Tokens, Ceilings { request: tokens(150), ..none }),
        (Holder::Key, Unit::Tokens, Ceilings { key: tokens(150), ..none }),
        (Holder::Tenant, Unit::Micros, Ceilings { tenant: money, ..none }),
        (Holder::Day, Unit::Micros, Ceilings { day: money, ..none }),
    ] {
        let first = books.reserve(entry("r", Some("k")), ceilings).await.unwrap();
        let refused = books.reserve(entry("r", Some("k")), ceilings).await.unwrap_err();
        assert_eq!((refused.holder, refused.unit), (holder, unit));
        let (limit, used) = if unit == Unit::Tokens { (150, 100) } else { (1_500, 1_000) };
        assert_eq!((refused.limit, refused.used, refused.asked), (limit, used, used));
        assert_eq!(refused.ends_in, Duration::from_secs(12 * 3_600));
        assert_eq!(
            books.ledger.exceeded(entry("r", Some("k")), ceilings).await.unwrap(),
            Some(refused),
            "asking says the same"
        );
        books.ledger.settle(first, Settlement::Nothing).await.unwrap();
        assert_eq!(books.ledger.exceeded(entry("r", Some("k")), ceilings).await.unwrap(), None);
    }
}

pub(crate) async fn a_ceiling_holds_for_its_holder_only(books: &Books) {
    let ceilings =
        Ceilings { request: tokens(100), key: tokens(200), tenant: tokens(300), ..Ceilings::default() };
    books.reserve(entry("r1", Some("a")), ceilings).await.unwrap();
    assert_eq!(books.reserve(entry("r1", Some("a")), ceilings).await.unwrap_err().holder, Holder::Request);
    books.reserve(entry("r2", Some("a")), ceilings).await.unwrap();
    assert_eq!(books.reserve(entry("r3", Some("a")), ceilings).await.unwrap_err().holder, Holder::Key);
    books.reserve(entry("r3", None), ceilings).await.unwrap();
    assert_eq!(books.reserve(entry("r4", Some("b")), ceilings).await.unwrap_err().holder, Holder::Tenant);
    let elsewhere = NewEntry { tenant: tenant("other"), ..entry("r1", Some("a")) };
    books.reserve(elsewhere, ceilings).await.unwrap();
}

pub(crate) async fn a_ceiling_may_be_reached_and_a_larger_call_never_fits(books: &Books) {
    let ceilings = Ceilings { day: tokens(100), ..Ceilings::default() };
    let large = NewEntry { worst: amount(u64::MAX, 1, 0), ..entry("r", None) };
    assert_eq!(books.reserve(large, ceilings).await.unwrap_err().holder, Holder::Day);
    books.reserve(entry("r", None), ceilings).await.unwrap();
    let nothing = NewEntry { worst: Amount::default(), ..entry("r", None) };
    books.reserve(nothing, ceilings).await.unwrap();
}

pub(crate) async fn a_new_day_begins_with_nothing_spent_but_a_request_goes_on(books: &Books) {
    let ceilings = Ceilings { tenant: tokens(100), ..Ceilings::default() };
    let late = books.reserve(entry("r", None), ceilings).await.unwrap();
    books.clock.advance(Duration::from_secs(12 * 3_600));
    assert_eq!(books.balances(None).await.tenant, Balance::default());
    let of_request = Ceilings { request: tokens(150), ..Ceilings::default() };
    assert_eq!(books.reserve(entry("r", None), of_request).await.unwrap_err().holder, Holder::Request);
    books.reserve(entry("s", None), ceilings).await.unwrap();
    // Settled on the day on which it was reserved.
    books.ledger.settle(late, Settlement::Told(amount(7, 0, 7))).await.unwrap();
    assert_eq!(books.balances(None).await.tenant.tokens, 100);
    let today = books.ledger.today();
    let rows = books.ledger.usage(&tenant("acme"), None, today - 1, today).await.unwrap();
    assert_eq!((rows.len(), rows[0].day.as_str(), rows[0].amount.input_tokens), (1, "2026-03-01", 7));
    assert!(books.ledger.usage(&tenant("acme"), None, today, today).await.unwrap().is_empty());
}

pub(crate) async fn what_was_left_open_is_charged_at_its_worst(books: &Books) {
    books.open(entry("r", Some("k"))).await;
    let settled = books.open(entry("s", Some("k"))).await;
    books.ledger.settle(settled, Settlement::Told(amount(1, 1, 1))).await.unwrap();
    // As long as nobody can be making the call any more.
    books.clock.advance(Duration::from_secs(3_601));
    assert_eq!(books.ledger.settle_open().await.unwrap(), 1);
    assert_eq!(books.ledger.settle_open().await.unwrap(), 0);
    assert_eq!(books.balances(Some("k")).await.key, Balance { tokens: 102, micros: 1_001 });
    let today = books.ledger.today();
    let rows = books.ledger.usage(&tenant("acme"), None, today, today).await.unwrap();
    assert_eq!((rows[0].calls, rows[0].estimated, rows[0].amount), (2, 1, amount(61, 41, 1_001)));
}

pub(crate) async fn usage_is_told_by_tenant_and_key(books: &Books) {
    let own = |model: &str, key| NewEntry { model: model.to_owned(), ..entry("r", key) };
    for new in [own("a", Some("k")), own("b", Some("k")), own("a", Some("l")), own("a", None)] {
        let key = books.open(new).await;
        books.ledger.settle(key, Settlement::Told(amount(10, 1, 5))).await.unwrap();
    }
    let today = books.ledger.today();
    let of = async |name: &str, key: Option<&str>| {
        let rows = books.ledger.usage(&tenant(name), key, today, today).await.unwrap();
        rows.into_iter().map(|row| (row.model, row.calls)).collect::<Vec<_>>()
    };
    assert_eq!(of("acme", None).await, [("a".to_owned(), 3), ("b".to_owned(), 1)]);
    assert_eq!(of("acme", Some("k")).await, [("a".to_owned(), 1), ("b".to_owned(), 1)]);
    assert!(of("acme", Some("k' OR 1=1 --")).await.is_empty());
    assert!(of("other", None).await.is_empty());
}

pub(crate) async fn two_hundred_at_once_never_pass_a_limit_for_twenty(books: &Books) {
    let ceilings = Ceilings {
        day: Ceiling { tokens: None, micros: Some(20_000) },
        tenant: Ceiling { tokens: Some(100_000), micros: Some(20_000) },
        ..Ceilings::default()
    };
    let tasks = (0..200).map(|number| {
        let ledger = Arc::clone(&books.ledger);
        tokio::spawn(async move {
            let reserved = ledger.reserve(entry(&number.to_string(), Some("k")), ceilings).await.unwrap();
            if let Ok(key) = reserved {
                // What is given back is for others to use.
                let used = Settlement::Told(amount(60, 40, if number % 2 == 0 { 1_000 } else { 400 }));
                assert!(ledger.settle(key, used).await.unwrap());
            }
            reserved.is_ok()
        })
    });
    let mut served = 0;
    for task in tasks.collect::<Vec<_>>() {
        served += u64::from(task.await.unwrap());
    }
    let spent = books.balances(None).await.day;
    assert!(spent.micros <= 20_000, "{spent:?}");
    assert!((20..200).contains(&served), "{served} were served");
    let today = books.ledger.today();
    let rows = books.ledger.usage(&tenant("acme"), None, today, today).await.unwrap();
    assert_eq!((rows[0].calls, rows[0].amount.micros), (served, spent.micros), "all of it is settled");
}

pub(crate) async fn an_entry_belongs_to_a_request(books: &Books) {
    let refused = books.ledger.reserve(entry("", None), Ceilings::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

/// Hands every rule's name to a macro.
macro_rules! rules {
    ($then:ident) => {
        $then! {
            a_call_is_reserved_at_its_worst_and_settled_at_what_it_used,
            a_call_is_settled_once,
            what_was_not_used_leaves_no_trace,
            every_ceiling_refuses_and_is_named,
            a_ceiling_holds_for_its_holder_only,
            a_ceiling_may_be_reached_and_a_larger_call_never_fits,
            a_new_day_begins_with_nothing_spent_but_a_request_goes_on,
            what_was_left_open_is_charged_at_its_worst,
            usage_is_told_by_tenant_and_key,
            two_hundred_at_once_never_pass_a_limit_for_twenty,
            an_entry_belongs_to_a_request,
        }
    };
}
pub(crate) use rules;
