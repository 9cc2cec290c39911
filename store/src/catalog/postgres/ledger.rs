//! The books in the database: reservations, balances that ceilings are compared with, and what was settled.

use async_trait::async_trait;
use sqlx::PgConnection;

use super::failure::During;
use super::{For, PostgresCatalog};
use crate::catalog::rows::ledger::{Entry, REQUEST_DAYS, UsedRow, limits, number};
use crate::error::Result;
use crate::ledger::{
    Amount, Balance, Balances, Ceilings, DAY, EntryKey, Exceeded, Ledger, NewEntry, Settlement, UsageRow,
};
use crate::scope::TenantId;

/// Microseconds after which nobody can be making a call any more: an hour. Other processes make theirs beside this one.
const LONGEST_CALL: i64 = 3_600 * 1_000_000;

#[async_trait]
impl Ledger for PostgresCatalog {
    async fn reserve(
        &self,
        entry: NewEntry,
        ceilings: Ceilings,
    ) -> Result<std::result::Result<EntryKey, Exceeded>> {
        let now = self.now();
        write!(self, For::Everybody, reserve(now, entry, ceilings))
    }

    async fn exceeded(&self, entry: NewEntry, ceilings: Ceilings) -> Result<Option<Exceeded>> {
        let now = self.now();
        read!(self, For::Everybody, would_exceed(now, entry, ceilings))
    }

    async fn settle(&self, entry: EntryKey, settlement: Settlement) -> Result<bool> {
        write!(self, For::Everybody, settle(entry, settlement))
    }

    async fn settle_open(&self) -> Result<u64> {
        let before = self.now().saturating_sub(LONGEST_CALL);
        write!(self, For::Everybody, settle_open(before))
    }

    async fn usage(&self, tenant: &TenantId, key: Option<&str>, from: i64, to: i64) -> Result<Vec<UsageRow>> {
        let (whose, tenant, key) = (tenant.clone(), tenant.as_str().to_owned(), key.map(str::to_owned));
        read!(self, &whose, usage(tenant, key, from, to))
    }

    async fn balances(&self, tenant: &TenantId, key: Option<&str>) -> Result<Balances> {
        let (today, tenant, key) = (self.today(), tenant.as_str().to_owned(), key.map(str::to_owned));
        read!(self, For::Everybody, balances(today, tenant, key))
    }

    fn today(&self) -> i64 {
        self.now().div_euclid(DAY)
    }
}

/// Reservations follow each other, so that two of them never take the same room. They would wait for each other at the
/// balance of everybody's day anyway.
async fn one_at_a_time(connection: &mut PgConnection) -> Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('wellspring ledger', 0))")
        .execute(connection)
        .await
        .during("reserve what a call may cost")?;
    Ok(())
}

async fn would_exceed(
    connection: &mut PgConnection,
    now: i64,
    entry: NewEntry,
    ceilings: Ceilings,
) -> Result<Option<Exceeded>> {
    exceeded(connection, &Entry::new(entry, now), &ceilings, now).await
}

async fn balances(
    connection: &mut PgConnection,
    today: i64,
    tenant: String,
    key: Option<String>,
) -> Result<Balances> {
    let key = match key {
        Some(key) => balance(connection, [&tenant, &key, ""], Some(today)).await?,
        None => Balance::default(),
    };
    Ok(Balances {
        key,
        tenant: balance(connection, [&tenant, "", ""], Some(today)).await?,
        day: balance(connection, ["", "", ""], Some(today)).await?,
    })
}

async fn reserve(
    connection: &mut PgConnection,
    now: i64,
    entry: NewEntry,
    ceilings: Ceilings,
) -> Result<std::result::Result<EntryKey, Exceeded>> {
    let entry = Entry::new(entry, now);
    entry.check()?;
    one_at_a_time(connection).await?;
    if let Some(exceeded) = exceeded(connection, &entry, &ceilings, now).await? {
        return Ok(Err(exceeded));
    }
    sqlx::query("DELETE FROM ledger_balances WHERE request <> '' AND day < $1")
        .bind(entry.day - REQUEST_DAYS)
        .execute(&mut *connection)
        .await
        .during("forget balances of past requests")?;
    let key = sqlx::query_scalar(
        "INSERT INTO ledger_open (day, at, tenant, api_key, request, purpose, model, input_tokens, output_tokens, micros) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING key",
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
    .fetch_one(&mut *connection)
    .await
    .during("reserve what a call may cost")?;
    move_balances(connection, &entry, entry.tokens(), entry.micros).await?;
    Ok(Ok(EntryKey(key)))
}

async fn exceeded(
    connection: &mut PgConnection,
    entry: &Entry,
    ceilings: &Ceilings,
    now: i64,
) -> Result<Option<Exceeded>> {
    for limit in limits(entry, ceilings) {
        let used = balance(connection, limit.row, limit.day).await?;
        if let Some(exceeded) = limit.exceeded(entry, used, now) {
            return Ok(Some(exceeded));
        }
    }
    Ok(None)
}

/// Of one holder on one day, or on all that are kept.
async fn balance(connection: &mut PgConnection, holder: [&str; 3], day: Option<i64>) -> Result<Balance> {
    let [tenant, api_key, request] = holder;
    let (tokens, micros): (i64, i64) = sqlx::query_as(
        "SELECT coalesce(sum(tokens), 0)::bigint, coalesce(sum(micros), 0)::bigint FROM ledger_balances \
         WHERE tenant = $1 AND api_key = $2 AND request = $3 AND day BETWEEN coalesce($4, 0) AND coalesce($4, 9000000000000000)",
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
async fn move_balances(connection: &mut PgConnection, entry: &Entry, tokens: i64, micros: i64) -> Result<()> {
    for [tenant, api_key, request] in entry.holders() {
        sqlx::query(
            "INSERT INTO ledger_balances (tenant, api_key, request, day, tokens, micros) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (tenant, api_key, request, day) DO UPDATE SET \
                tokens = ledger_balances.tokens + excluded.tokens, micros = ledger_balances.micros + excluded.micros",
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

async fn settle(connection: &mut PgConnection, key: EntryKey, settlement: Settlement) -> Result<bool> {
    one_at_a_time(connection).await?;
    let entry: Option<Entry> = sqlx::query_as(
        "DELETE FROM ledger_open WHERE key = $1 \
         RETURNING day, tenant, api_key, request, purpose, model, input_tokens, output_tokens, micros",
    )
    .bind(key.0)
    .fetch_optional(&mut *connection)
    .await
    .during("settle a call")?;
    let Some(entry) = entry else { return Ok(false) };
    let (amount, estimated) = entry.settled(settlement);
    let used = amount.unwrap_or_default();
    let tokens = number(used.input_tokens) + number(used.output_tokens);
    move_balances(connection, &entry, tokens - entry.tokens(), number(used.micros) - entry.micros).await?;
    if let Some(amount) = amount {
        record(connection, &entry, amount, estimated).await?;
    }
    Ok(true)
}

async fn record(connection: &mut PgConnection, entry: &Entry, amount: Amount, estimated: bool) -> Result<()> {
    sqlx::query(
        "INSERT INTO ledger_usage (tenant, day, api_key, purpose, model, calls, estimated, input_tokens, \
            cached_input_tokens, output_tokens, micros) VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, $9, $10) \
         ON CONFLICT (tenant, day, api_key, purpose, model) DO UPDATE SET calls = ledger_usage.calls + 1, \
            estimated = ledger_usage.estimated + excluded.estimated, \
            input_tokens = ledger_usage.input_tokens + excluded.input_tokens, \
            cached_input_tokens = ledger_usage.cached_input_tokens + excluded.cached_input_tokens, \
            output_tokens = ledger_usage.output_tokens + excluded.output_tokens, micros = ledger_usage.micros + excluded.micros",
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

async fn settle_open(connection: &mut PgConnection, before: i64) -> Result<u64> {
    let open: Vec<i64> = sqlx::query_scalar("SELECT key FROM ledger_open WHERE at < $1 ORDER BY key")
        .bind(before)
        .fetch_all(&mut *connection)
        .await
        .during("find calls that were not settled")?;
    let mut settled = 0;
    for key in open {
        settled += u64::from(settle(connection, EntryKey(key), Settlement::Worst).await?);
    }
    Ok(settled)
}

async fn usage(
    connection: &mut PgConnection,
    tenant: String,
    key: Option<String>,
    from: i64,
    to: i64,
) -> Result<Vec<UsageRow>> {
    let rows: Vec<UsedRow> = sqlx::query_as(
        "SELECT day, purpose, model, sum(calls)::bigint AS calls, sum(estimated)::bigint AS estimated, \
            sum(input_tokens)::bigint AS input_tokens, sum(cached_input_tokens)::bigint AS cached_input_tokens, \
            sum(output_tokens)::bigint AS output_tokens, sum(micros)::bigint AS micros \
         FROM ledger_usage WHERE tenant = $1 AND day BETWEEN $2 AND $3 AND ($4::text IS NULL OR api_key = $4) \
         GROUP BY day, purpose, model ORDER BY day, purpose, model",
    )
    .bind(tenant)
    .bind(from)
    .bind(to)
    .bind(key)
    .fetch_all(connection)
    .await
    .during("read what was used")?;
    Ok(rows.into_iter().map(UsedRow::usage).collect())
}
