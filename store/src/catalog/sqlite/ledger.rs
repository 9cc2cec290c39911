//! The books in the catalog's file: reservations, balances that ceilings are compared with, and what was settled.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::SqliteCatalog;
use super::failure::During;
use crate::catalog::rows::ledger::{Entry, REQUEST_DAYS, UsedRow, limits, number};
use crate::error::Result;
use crate::ledger::{
    Amount, Balance, Balances, Ceilings, DAY, EntryKey, Exceeded, Ledger, NewEntry, Settlement, UsageRow,
};
use crate::scope::TenantId;

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

async fn reserve(
    connection: &mut SqliteConnection,
    now: i64,
    entry: NewEntry,
    ceilings: Ceilings,
) -> Result<std::result::Result<EntryKey, Exceeded>> {
    let entry = Entry::new(entry, now);
    entry.check()?;
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
    for limit in limits(entry, ceilings) {
        let used = balance(connection, limit.row, limit.day).await?;
        if let Some(exceeded) = limit.exceeded(entry, used, now) {
            return Ok(Some(exceeded));
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
    let (amount, estimated) = entry.settled(settlement);
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

async fn usage(
    connection: &mut SqliteConnection,
    tenant: String,
    key: Option<String>,
    from: i64,
    to: i64,
) -> Result<Vec<UsageRow>> {
    let rows: Vec<UsedRow> = sqlx::query_as(
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
    Ok(rows.into_iter().map(UsedRow::usage).collect())
}
