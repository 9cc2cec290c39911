//! The books in the catalog's file: reservations, balances that ceilings are compared with, and what was settled.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{FromRow, SqliteConnection};

use super::SqliteCatalog;
use super::failure::During;
use crate::error::{ErrorKind, Result, StoreError};
use crate::ledger::{
    Amount, Balance, Balances, Ceiling, Ceilings, DAY, EntryKey, Exceeded, Holder, Ledger, NewEntry,
    Settlement, Unit, UsageRow, date,
};
use crate::scope::TenantId;

/// Days for which a request's balance is kept after its last entry.
const REQUEST_DAYS: i64 = 2;

#[async_trait]
impl Ledger for SqliteCatalog {
    async fn reserve(
        &self,
        entry: NewEntry,
        ceilings: Ceilings,
    ) -> Result<std::result::Result<EntryKey, Exceeded>> {
        let now = self.now();
        self.database.write(None, move |connection| Box::pin(reserve(connection, now, entry, ceilings))).await
    }

    async fn exceeded(&self, entry: NewEntry, ceilings: Ceilings) -> Result<Option<Exceeded>> {
        let now = self.now();
        let entry = Entry::new(entry, now);
        self.database
            .read(move |connection| {
                Box::pin(async move { exceeded(connection, &entry, &ceilings, now).await })
            })
            .await
    }

    async fn settle(&self, entry: EntryKey, settlement: Settlement) -> Result<bool> {
        self.database.write(None, move |connection| Box::pin(settle(connection, entry, settlement))).await
    }

    async fn settle_open(&self) -> Result<u64> {
        self.database.write(None, move |connection| Box::pin(settle_open(connection))).await
    }

    async fn usage(&self, tenant: &TenantId, key: Option<&str>, from: i64, to: i64) -> Result<Vec<UsageRow>> {
        let (tenant, key) = (tenant.as_str().to_owned(), key.map(str::to_owned));
        self.database.read(move |connection| Box::pin(usage(connection, tenant, key, from, to))).await
    }

    async fn balances(&self, tenant: &TenantId, key: Option<&str>) -> Result<Balances> {
        let (today, tenant, key) = (self.today(), tenant.as_str().to_owned(), key.map(str::to_owned));
        self.database
            .read(move |connection| {
                Box::pin(async move {
                    let key = match key {
                        Some(key) => balance(connection, [&tenant, &key, ""], Some(today)).await?,
                        None => Balance::default(),
                    };
                    Ok(Balances {
                        key,
                        tenant: balance(connection, [&tenant, "", ""], Some(today)).await?,
                        day: balance(connection, ["", "", ""], Some(today)).await?,
                    })
                })
            })
            .await
    }

    fn today(&self) -> i64 {
        self.now().div_euclid(DAY)
    }
}

/// An entry as its row has it. Sums of such numbers stay far below what 64 bits hold.
#[derive(Debug, FromRow)]
struct Entry {
    day: i64,
    tenant: String,
    api_key: String,
    request: String,
    purpose: String,
    model: String,
    input_tokens: i64,
    output_tokens: i64,
    micros: i64,
}

impl Entry {
    fn new(new: NewEntry, now: i64) -> Self {
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

    fn tokens(&self) -> i64 {
        self.input_tokens + self.output_tokens
    }

    /// Those whose balances it counts for: tenant, key and request of each row.
    fn holders(&self) -> Vec<[&str; 3]> {
        let mut holders = vec![["", "", ""], [self.tenant.as_str(), "", ""]];
        if !self.api_key.is_empty() {
            holders.push([&self.tenant, &self.api_key, ""]);
        }
        holders.push([&self.tenant, "", &self.request]);
        holders
    }
}

/// At most 2⁵³: no amount of tokens or money that is meant comes near.
fn number(value: u64) -> i64 {
    value.min(1 << 53).cast_signed()
}

async fn reserve(
    connection: &mut SqliteConnection,
    now: i64,
    entry: NewEntry,
    ceilings: Ceilings,
) -> Result<std::result::Result<EntryKey, Exceeded>> {
    let entry = Entry::new(entry, now);
    if entry.request.is_empty() {
        return Err(StoreError::new(ErrorKind::Invalid, "a call is reserved for a request with a name"));
    }
    if let Some(exceeded) = exceeded(connection, &entry, &ceilings, now).await? {
        return Ok(Err(exceeded));
    }
    sqlx::query("DELETE FROM ledger_balances WHERE request <> '' AND day < ?")
        .bind(entry.day - REQUEST_DAYS)
        .execute(&mut *connection)
        .await
        .during("forget balances of past requests")?;
    let key = sqlx::query(
        "INSERT INTO ledger_open (day, at, tenant, api_key, request, purpose, model, input_tokens, output_tokens, micros) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(entry.day)
    .bind(now)
    .bind(&entry.tenant)
    .bind(&entry.api_key)
    .bind(&entry.request)
    .bind(&entry.purpose)
    .bind(&entry.model)
    .bind(entry.input_tokens)
    .bind(entry.output_tokens)
    .bind(entry.micros)
    .execute(&mut *connection)
    .await
    .during("reserve what a call may cost")?
    .last_insert_rowid();
    move_balances(connection, &entry, entry.tokens(), entry.micros).await?;
    Ok(Ok(EntryKey(key)))
}

async fn exceeded(
    connection: &mut SqliteConnection,
    entry: &Entry,
    ceilings: &Ceilings,
    now: i64,
) -> Result<Option<Exceeded>> {
    let Ceilings { request, key, tenant, day } = ceilings;
    let key = if entry.api_key.is_empty() { &Ceiling::default() } else { key };
    let ends_in = Duration::from_micros((DAY - now.rem_euclid(DAY)).cast_unsigned());
    let today = Some(entry.day);
    for (holder, ceiling, row, on) in [
        (Holder::Request, request, [entry.tenant.as_str(), "", &entry.request], None),
        (Holder::Key, key, [&entry.tenant, &entry.api_key, ""], today),
        (Holder::Tenant, tenant, [&entry.tenant, "", ""], today),
        (Holder::Day, day, ["", "", ""], today),
    ] {
        if ceiling.tokens.is_none() && ceiling.micros.is_none() {
            continue;
        }
        let used = balance(connection, row, on).await?;
        for (unit, limit, used, asked) in [
            (Unit::Tokens, ceiling.tokens, used.tokens, entry.tokens()),
            (Unit::Micros, ceiling.micros, used.micros, entry.micros),
        ] {
            let asked = asked.cast_unsigned();
            if let Some(limit) = limit.filter(|limit| used.saturating_add(asked) > *limit) {
                return Ok(Some(Exceeded { holder, unit, limit, used, asked, ends_in }));
            }
        }
    }
    Ok(None)
}

/// Of one holder on one day, or on all that are kept.
async fn balance(connection: &mut SqliteConnection, holder: [&str; 3], day: Option<i64>) -> Result<Balance> {
    let [tenant, api_key, request] = holder;
    let (tokens, micros): (i64, i64) = sqlx::query_as(
        "SELECT coalesce(sum(tokens), 0), coalesce(sum(micros), 0) FROM ledger_balances \
         WHERE tenant = ?1 AND api_key = ?2 AND request = ?3 AND day BETWEEN coalesce(?4, 0) AND coalesce(?4, 9e15)",
    )
    .bind(tenant)
    .bind(api_key)
    .bind(request)
    .bind(day)
    .fetch_one(connection)
    .await
    .during("read a balance")?;
    Ok(Balance { tokens: tokens.max(0).cast_unsigned(), micros: micros.max(0).cast_unsigned() })
}

/// Adds to the balances that the entry counts for, on its day.
async fn move_balances(
    connection: &mut SqliteConnection,
    entry: &Entry,
    tokens: i64,
    micros: i64,
) -> Result<()> {
    for [tenant, api_key, request] in entry.holders() {
        sqlx::query(
            "INSERT INTO ledger_balances (tenant, api_key, request, day, tokens, micros) VALUES (?, ?, ?, ?, ?, ?) \
             ON CONFLICT DO UPDATE SET tokens = tokens + excluded.tokens, micros = micros + excluded.micros",
        )
        .bind(tenant)
        .bind(api_key)
        .bind(request)
        .bind(entry.day)
        .bind(tokens)
        .bind(micros)
        .execute(&mut *connection)
        .await
        .during("move a balance")?;
    }
    Ok(())
}

async fn settle(connection: &mut SqliteConnection, key: EntryKey, settlement: Settlement) -> Result<bool> {
    let entry: Option<Entry> = sqlx::query_as(
        "DELETE FROM ledger_open WHERE key = ? \
         RETURNING day, tenant, api_key, request, purpose, model, input_tokens, output_tokens, micros",
    )
    .bind(key.0)
    .fetch_optional(&mut *connection)
    .await
    .during("settle a call")?;
    let Some(entry) = entry else { return Ok(false) };
    let worst = Amount {
        input_tokens: entry.input_tokens.cast_unsigned(),
        cached_input_tokens: 0,
        output_tokens: entry.output_tokens.cast_unsigned(),
        micros: entry.micros.cast_unsigned(),
    };
    let (amount, estimated) = match settlement {
        Settlement::Told(amount) => (Some(amount), false),
        Settlement::Estimated(amount) => (Some(amount), true),
        Settlement::Worst => (Some(worst), true),
        Settlement::Nothing => (None, false),
    };
    let used = amount.unwrap_or_default();
    let tokens = number(used.input_tokens) + number(used.output_tokens);
    move_balances(connection, &entry, tokens - entry.tokens(), number(used.micros) - entry.micros).await?;
    if let Some(amount) = amount {
        record(connection, &entry, amount, estimated).await?;
    }
    Ok(true)
}

async fn record(
    connection: &mut SqliteConnection,
    entry: &Entry,
    amount: Amount,
    estimated: bool,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO ledger_usage (tenant, day, api_key, purpose, model, calls, estimated, input_tokens, \
            cached_input_tokens, output_tokens, micros) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?) \
         ON CONFLICT DO UPDATE SET calls = calls + 1, estimated = estimated + excluded.estimated, \
            input_tokens = input_tokens + excluded.input_tokens, \
            cached_input_tokens = cached_input_tokens + excluded.cached_input_tokens, \
            output_tokens = output_tokens + excluded.output_tokens, micros = micros + excluded.micros",
    )
    .bind(&entry.tenant)
    .bind(entry.day)
    .bind(&entry.api_key)
    .bind(&entry.purpose)
    .bind(&entry.model)
    .bind(i64::from(estimated))
    .bind(number(amount.input_tokens))
    .bind(number(amount.cached_input_tokens))
    .bind(number(amount.output_tokens))
    .bind(number(amount.micros))
    .execute(connection)
    .await
    .during("record what a call used")?;
    Ok(())
}

async fn settle_open(connection: &mut SqliteConnection) -> Result<u64> {
    let open: Vec<i64> = sqlx::query_scalar("SELECT key FROM ledger_open ORDER BY key")
        .fetch_all(&mut *connection)
        .await
        .during("find calls that were not settled")?;
    let mut settled = 0;
    for key in open {
        settled += u64::from(settle(connection, EntryKey(key), Settlement::Worst).await?);
    }
    Ok(settled)
}

#[derive(FromRow)]
struct Row {
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

async fn usage(
    connection: &mut SqliteConnection,
    tenant: String,
    key: Option<String>,
    from: i64,
    to: i64,
) -> Result<Vec<UsageRow>> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT day, purpose, model, sum(calls) AS calls, sum(estimated) AS estimated, \
            sum(input_tokens) AS input_tokens, sum(cached_input_tokens) AS cached_input_tokens, \
            sum(output_tokens) AS output_tokens, sum(micros) AS micros \
         FROM ledger_usage WHERE tenant = ?1 AND day BETWEEN ?2 AND ?3 AND (?4 IS NULL OR api_key = ?4) \
         GROUP BY day, purpose, model ORDER BY day, purpose, model",
    )
    .bind(tenant)
    .bind(from)
    .bind(to)
    .bind(key)
    .fetch_all(connection)
    .await
    .during("read what was used")?;
    let row = |row: Row| UsageRow {
        day: date(row.day),
        purpose: row.purpose,
        model: row.model,
        calls: row.calls.cast_unsigned(),
        estimated: row.estimated.cast_unsigned(),
        amount: Amount {
            input_tokens: row.input_tokens.cast_unsigned(),
            cached_input_tokens: row.cached_input_tokens.cast_unsigned(),
            output_tokens: row.output_tokens.cast_unsigned(),
            micros: row.micros.cast_unsigned(),
        },
    };
    Ok(rows.into_iter().map(row).collect())
}
