//! Users and their sign-ins.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::SqliteCatalog;
use super::failure::During;
use crate::catalog::Page;
use crate::catalog::rows::user::{SignInRow, UserRow, cursor as after, shut_out, taken, unknown};
use crate::catalog::rows::values::{self, json};
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::TenantId;
use crate::users::{MOST_SIGN_INS, NewUser, Renewal, TokenHash, User, UserName, Users};

#[async_trait]
impl Users for SqliteCatalog {
    async fn create_user(&self, user: NewUser) -> Result<User> {
        user.check()?;
        let now = self.now();
        self.database.write(None, move |connection| Box::pin(create(connection, now, user))).await
    }

    async fn user(&self, name: &UserName) -> Result<Option<(User, String)>> {
        let name = name.clone();
        self.database.read(move |connection| Box::pin(find(connection, name))).await
    }

    async fn users(&self, tenant: Option<&TenantId>, cursor: Option<&str>, limit: u32) -> Result<Page<User>> {
        let limit = values::limit(limit)?;
        let (tenant, cursor) = (tenant.cloned(), cursor.unwrap_or_default().to_owned());
        self.database.read(move |connection| Box::pin(list(connection, tenant, cursor, limit))).await
    }

    async fn set_password(&self, name: &UserName, password: String) -> Result<()> {
        let name = name.clone();
        self.database.write(None, move |connection| Box::pin(replace(connection, name, password))).await
    }

    async fn set_disabled(&self, name: &UserName, disabled: bool) -> Result<()> {
        let (now, name) = (self.now(), name.clone());
        self.database
            .write(None, move |connection| Box::pin(disable(connection, disabled.then_some(now), name)))
            .await
    }

    async fn remove_user(&self, name: &UserName) -> Result<()> {
        let name = name.clone();
        self.database.write(None, move |connection| Box::pin(remove(connection, name))).await
    }

    async fn sign_in(
        &self,
        name: &UserName,
        password: &str,
        id: &str,
        access: TokenHash,
        refresh: TokenHash,
    ) -> Result<()> {
        let (now, name, password, id) = (self.now(), name.clone(), password.to_owned(), id.to_owned());
        self.database
            .write(None, move |connection| {
                Box::pin(async move {
                    may(connection, &name, &password).await?;
                    sign_in(connection, now, name, id, access, refresh).await
                })
            })
            .await
    }

    async fn signed_in(&self, id: &str) -> Result<Option<(User, [u8; 32])>> {
        let (now, id) = (self.now(), id.to_owned());
        self.database.read(move |connection| Box::pin(signed_in(connection, now, id))).await
    }

    async fn is_signed_in(&self, id: &str) -> Result<bool> {
        let (now, id) = (self.now(), id.to_owned());
        self.database.read(move |connection| Box::pin(lives(connection, now, id))).await
    }

    async fn renew(
        &self,
        id: &str,
        presented: [u8; 32],
        access: TokenHash,
        refresh: TokenHash,
    ) -> Result<Renewal> {
        let (now, id) = (self.now(), id.to_owned());
        self.database
            .write(None, move |connection| Box::pin(renew(connection, now, id, presented, access, refresh)))
            .await
    }

    async fn sign_out(&self, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.database.write(None, move |connection| Box::pin(sign_out(connection, id))).await
    }
}

async fn create(connection: &mut SqliteConnection, now: i64, user: NewUser) -> Result<User> {
    let NewUser { name, tenant, password, rights, groups } = user;
    let row: Option<UserRow> = sqlx::query_as(
        "INSERT INTO users (name, tenant, password, rights, groups, created_at) VALUES (?, ?, ?, ?, ?, ?) \
         ON CONFLICT DO NOTHING RETURNING *",
    )
    .bind(name.as_str())
    .bind(tenant.as_str())
    .bind(password)
    .bind(json(&rights)?)
    .bind(json(&groups)?)
    .bind(now)
    .fetch_optional(connection)
    .await
    .during("keep the user")?;
    Ok(row.ok_or_else(|| taken(&name))?.user()?.0)
}

async fn find(connection: &mut SqliteConnection, name: UserName) -> Result<Option<(User, String)>> {
    let row: Option<UserRow> = sqlx::query_as("SELECT * FROM users WHERE name = ?")
        .bind(name.as_str())
        .fetch_optional(connection)
        .await
        .during("look up the user")?;
    row.map(UserRow::user).transpose()
}

async fn list(
    connection: &mut SqliteConnection,
    tenant: Option<TenantId>,
    cursor: String,
    limit: u32,
) -> Result<Page<User>> {
    // The cursor is tenant and name of the last user; neither has a space.
    let (after_tenant, after_name) = cursor.split_once(' ').unwrap_or_default();
    let rows: Vec<UserRow> = sqlx::query_as(
        "SELECT * FROM users WHERE (?1 IS NULL OR tenant = ?1) AND (tenant, name) > (?2, ?3) \
         ORDER BY tenant, name LIMIT ?4",
    )
    .bind(tenant.as_ref().map(TenantId::as_str))
    .bind(after_tenant)
    .bind(after_name)
    .bind(i64::from(limit) + 1)
    .fetch_all(connection)
    .await
    .during("list the users")?;
    let mut items = rows.into_iter().map(|row| Ok(row.user()?.0)).collect::<Result<Vec<_>>>()?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(after);
    Ok(Page { items, next })
}

async fn replace(connection: &mut SqliteConnection, name: UserName, password: String) -> Result<()> {
    let changed = sqlx::query("UPDATE users SET password = ? WHERE name = ?")
        .bind(password)
        .bind(name.as_str())
        .execute(&mut *connection)
        .await
        .during("keep the password")?;
    if changed.rows_affected() == 0 {
        return Err(unknown(&name));
    }
    end_all(connection, &name).await
}

async fn disable(connection: &mut SqliteConnection, at: Option<i64>, name: UserName) -> Result<()> {
    let changed = sqlx::query("UPDATE users SET disabled_at = ? WHERE name = ?")
        .bind(at)
        .bind(name.as_str())
        .execute(&mut *connection)
        .await
        .during("disable the user")?;
    match (changed.rows_affected(), at) {
        (0, _) => Err(unknown(&name)),
        (_, Some(_)) => end_all(connection, &name).await,
        (_, None) => Ok(()),
    }
}

async fn remove(connection: &mut SqliteConnection, name: UserName) -> Result<()> {
    end_all(connection, &name).await?;
    let removed = sqlx::query("DELETE FROM users WHERE name = ?")
        .bind(name.as_str())
        .execute(connection)
        .await
        .during("remove the user")?;
    if removed.rows_affected() == 0 { Err(unknown(&name)) } else { Ok(()) }
}

async fn end_all(connection: &mut SqliteConnection, name: &UserName) -> Result<()> {
    sqlx::query("DELETE FROM sign_ins WHERE user_name = ?")
        .bind(name.as_str())
        .execute(connection)
        .await
        .during("end the sign-ins")?;
    Ok(())
}

/// Refuses whoever was removed, disabled or given another password since this one was compared.
async fn may(connection: &mut SqliteConnection, name: &UserName, password: &str) -> Result<()> {
    let may: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM users WHERE name = ? AND password = ? AND disabled_at IS NULL)",
    )
    .bind(name.as_str())
    .bind(password)
    .fetch_one(connection)
    .await
    .during("look up the user")?;
    if may { Ok(()) } else { Err(shut_out(name)) }
}

async fn sign_in(
    connection: &mut SqliteConnection,
    now: i64,
    name: UserName,
    id: String,
    access: TokenHash,
    refresh: TokenHash,
) -> Result<()> {
    sqlx::query("DELETE FROM sign_ins WHERE refresh_expires <= ?")
        .bind(now)
        .execute(&mut *connection)
        .await
        .during("remove expired sign-ins")?;
    sqlx::query(
        "DELETE FROM sign_ins WHERE id IN (SELECT id FROM sign_ins WHERE user_name = ? \
         ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET ?)",
    )
    .bind(name.as_str())
    .bind(i64::from(MOST_SIGN_INS) - 1)
    .execute(&mut *connection)
    .await
    .during("end the oldest sign-ins")?;
    let kept = sqlx::query(
        "INSERT INTO sign_ins (id, user_name, access_hash, access_expires, refresh_hash, refresh_expires, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(name.as_str())
    .bind(access.hash.as_slice())
    .bind(access.expires_at)
    .bind(refresh.hash.as_slice())
    .bind(refresh.expires_at)
    .bind(now)
    .execute(connection)
    .await
    .during("keep the sign-in")?;
    if kept.rows_affected() == 0 {
        return Err(StoreError::new(ErrorKind::Conflict, "the id of a sign-in was used before"));
    }
    Ok(())
}

async fn signed_in(
    connection: &mut SqliteConnection,
    now: i64,
    id: String,
) -> Result<Option<(User, [u8; 32])>> {
    let found: Option<SignInRow> = sqlx::query_as(
        "SELECT u.*, s.access_hash AS hash FROM sign_ins s JOIN users u ON u.name = s.user_name \
         WHERE s.id = ?1 AND s.access_expires > ?2 AND s.refresh_expires > ?2",
    )
    .bind(id)
    .bind(now)
    .fetch_optional(connection)
    .await
    .during("look up the sign-in")?;
    found.map(SignInRow::signed_in).transpose()
}

async fn lives(connection: &mut SqliteConnection, now: i64, id: String) -> Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sign_ins WHERE id = ? AND refresh_expires > ?)")
        .bind(id)
        .bind(now)
        .fetch_one(connection)
        .await
        .during("look up the sign-in")
}

async fn renew(
    connection: &mut SqliteConnection,
    now: i64,
    id: String,
    presented: [u8; 32],
    access: TokenHash,
    refresh: TokenHash,
) -> Result<Renewal> {
    let found: Option<SignInRow> = sqlx::query_as(
        "SELECT u.*, s.refresh_hash AS hash FROM sign_ins s JOIN users u ON u.name = s.user_name \
         WHERE s.id = ? AND s.refresh_expires > ?",
    )
    .bind(&id)
    .bind(now)
    .fetch_optional(&mut *connection)
    .await
    .during("look up the sign-in")?;
    let Some(found) = found else { return Ok(Renewal::Unknown) };
    let (user, hash) = found.signed_in()?;
    // `blake3::Hash` compares in constant time.
    if blake3::Hash::from_bytes(hash) != blake3::Hash::from_bytes(presented) {
        sign_out(connection, id).await?;
        return Ok(Renewal::Reused(user.name));
    }
    sqlx::query(
        "UPDATE sign_ins SET access_hash = ?, access_expires = ?, refresh_hash = ?, refresh_expires = ? WHERE id = ?",
    )
    .bind(access.hash.as_slice())
    .bind(access.expires_at)
    .bind(refresh.hash.as_slice())
    .bind(refresh.expires_at)
    .bind(id)
    .execute(connection)
    .await
    .during("go on with the sign-in")?;
    Ok(Renewal::Renewed(user))
}

async fn sign_out(connection: &mut SqliteConnection, id: String) -> Result<()> {
    sqlx::query("DELETE FROM sign_ins WHERE id = ?")
        .bind(id)
        .execute(connection)
        .await
        .during("end the sign-in")?;
    Ok(())
}
