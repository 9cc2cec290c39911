//! Entries of the books as both catalogs keep them, and how they are compared with ceilings.

use std::time::Duration;

use sqlx::FromRow;

use crate::error::{ErrorKind, Result, StoreError};
use crate::ledger::{
    Amount, Balance, Ceiling, Ceilings, DAY, Exceeded, Holder, NewEntry, Settlement, Unit, UsageRow, date,
};

/// Days for which a request's balance is kept after its last entry.
pub(crate) const REQUEST_DAYS: i64 = 2;

/// An entry as its row has it. Sums of such numbers stay far below what 64 bits hold.
#[derive(Debug, FromRow)]
pub(crate) struct Entry {
    pub(crate) day: i64,
    pub(crate) tenant: String,
    pub(crate) api_key: String,
    pub(crate) request: String,
    pub(crate) purpose: String,
    pub(crate) model: String,
    pub(crate) input_tokens: i64,
    pub(crate) output_tokens: i64,
    pub(crate) micros: i64,
}

impl Entry {
    pub(crate) fn new(new: NewEntry, now: i64) -> Self {
        Self {
            day: now.div_euclid(DAY),
            tenant: new.tenant.as_str().to_owned(),
            api_key: new.key.unwrap_or_default(),
            request: new.request,
            purpose: new.purpose,
            model: new.model,
            input_tokens: number(new.worst.input_tokens),
            output_tokens: number(new.worst.output_tokens),
            micros: number(new.worst.micros),
        }
    }

    pub(crate) fn tokens(&self) -> i64 {
        self.input_tokens + self.output_tokens
    }

    /// Those whose balances it counts for: tenant, key and request of each row.
    pub(crate) fn holders(&self) -> Vec<[&str; 3]> {
        let mut holders = vec![["", "", ""], [self.tenant.as_str(), "", ""]];
        if !self.api_key.is_empty() {
            holders.push([&self.tenant, &self.api_key, ""]);
        }
        holders.push([&self.tenant, "", &self.request]);
        holders
    }

    /// `Invalid` for an entry that no request could be charged for.
    pub(crate) fn check(&self) -> Result<()> {
        if self.request.is_empty() {
            return Err(StoreError::new(ErrorKind::Invalid, "a call is reserved for a request with a name"));
        }
        Ok(())
    }

    /// What it is settled at, `None` for nothing, and whether that is an estimate.
    pub(crate) fn settled(&self, settlement: Settlement) -> (Option<Amount>, bool) {
        let worst = Amount {
            input_tokens: self.input_tokens.cast_unsigned(),
            cached_input_tokens: 0,
            output_tokens: self.output_tokens.cast_unsigned(),
            micros: self.micros.cast_unsigned(),
        };
        match settlement {
            Settlement::Told(amount) => (Some(amount), false),
            Settlement::Estimated(amount) => (Some(amount), true),
            Settlement::Worst => (Some(worst), true),
            Settlement::Nothing => (None, false),
        }
    }
}

/// A ceiling that an entry is compared with, and the balance that counts.
pub(crate) struct Limit<'a> {
    holder: Holder,
    ceiling: Ceiling,
    /// Tenant, key and request of the balance's row.
    pub(crate) row: [&'a str; 3],
    /// `None` for all days that are kept.
    pub(crate) day: Option<i64>,
}

/// The ceilings that concern an entry, in the order in which they are told.
pub(crate) fn limits<'a>(entry: &'a Entry, ceilings: &Ceilings) -> Vec<Limit<'a>> {
    let Ceilings { request, key, tenant, day } = *ceilings;
    let key = if entry.api_key.is_empty() { Ceiling::default() } else { key };
    let today = Some(entry.day);
    [
        (Holder::Request, request, [entry.tenant.as_str(), "", entry.request.as_str()], None),
        (Holder::Key, key, [&entry.tenant, &entry.api_key, ""], today),
        (Holder::Tenant, tenant, [&entry.tenant, "", ""], today),
        (Holder::Day, day, ["", "", ""], today),
    ]
    .into_iter()
    .filter(|(_, ceiling, ..)| ceiling.tokens.is_some() || ceiling.micros.is_some())
    .map(|(holder, ceiling, row, day)| Limit { holder, ceiling, row, day })
    .collect()
}

impl Limit<'_> {
    /// Whether the entry would pass it.
    pub(crate) fn exceeded(&self, entry: &Entry, used: Balance, now: i64) -> Option<Exceeded> {
        let ends_in = Duration::from_micros((DAY - now.rem_euclid(DAY)).cast_unsigned());
        [
            (Unit::Tokens, self.ceiling.tokens, used.tokens, entry.tokens()),
            (Unit::Micros, self.ceiling.micros, used.micros, entry.micros),
        ]
        .into_iter()
        .find_map(|(unit, limit, used, asked)| {
            let asked = asked.cast_unsigned();
            let limit = limit.filter(|limit| used.saturating_add(asked) > *limit)?;
            Some(Exceeded { holder: self.holder, unit, limit, used, asked, ends_in })
        })
    }
}

/// At most 2⁵³: no amount of tokens or money that is meant comes near.
pub(crate) fn number(value: u64) -> i64 {
    value.min(1 << 53).cast_signed()
}

#[derive(FromRow)]
pub(crate) struct UsedRow {
    day: i64,
    purpose: String,
    model: String,
    calls: i64,
    estimated: i64,
    input_tokens: i64,
    cached_input_tokens: i64,
    output_tokens: i64,
    micros: i64,
}

impl UsedRow {
    pub(crate) fn usage(self) -> UsageRow {
        UsageRow {
            day: date(self.day),
            purpose: self.purpose,
            model: self.model,
            calls: self.calls.cast_unsigned(),
            estimated: self.estimated.cast_unsigned(),
            amount: Amount {
                input_tokens: self.input_tokens.cast_unsigned(),
                cached_input_tokens: self.cached_input_tokens.cast_unsigned(),
                output_tokens: self.output_tokens.cast_unsigned(),
                micros: self.micros.cast_unsigned(),
            },
        }
    }
}
