//! Users and their sign-ins.

use async_trait::async_trait;
use sqlx::PgConnection;

use super::failure::During;
use super::{For, PostgresCatalog};
use crate::catalog::Page;
use crate::catalog::rows::user::{SignInRow, UserRow, cursor as after, shut_out, taken, unknown};
use crate::catalog::rows::values::{self, json};
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::TenantId;
use crate::users::{MOST_SIGN_INS, NewUser, Renewal, TokenHash, User, UserName, Users};

#[async_trait]
impl Users for PostgresCatalog {
    async fn create_user(&self, user: NewUser) -> Result<User> {
        user.check()?;
        let now = self.now();
        write!(self, &user.tenant, create(now, user))
    }

    async fn user(&self, name: &UserName) -> Result<Option<(User, String)>> {
        let name = name.clone();
        // Whose user it is, is what is asked.
        read!(self, For::Everybody, find(name))
    }

    async fn users(&self, tenant: Option<&TenantId>, cursor: Option<&str>, limit: u32) -> Result<Page<User>> {
        let limit = values::limit(limit)?;
        let whose = tenant.map_or(For::Everybody, For::from);
        let (tenant, cursor) = (tenant.cloned(), cursor.unwrap_or_default().to_owned());
        read!(self, whose, list(tenant, cursor, limit))
    }

    async fn set_password(&self, name: &UserName, password: String) -> Result<()> {
        let name = name.clone();
        write!(self, For::Everybody, replace(name, password))
    }

    async fn set_disabled(&self, name: &UserName, disabled: bool) -> Result<()> {
        let (at, name) = (disabled.then(|| self.now()), name.clone());
        write!(self, For::Everybody, disable(at, name))
    }

    async fn remove_user(&self, name: &UserName) -> Result<()> {
        let name = name.clone();
        write!(self, For::Everybody, remove(name))
    }

    async fn sign_in(
        &self,
        name: &UserName,
        password: &str,
        id: &str,
        access: TokenHash,
        refresh: TokenHash,
    ) -> Result<()> {
        let who = Verified { name: name.clone(), password: password.to_owned() };
        let (now, id) = (self.now(), id.to_owned());
        write!(self, For::Everybody, sign_in(now, who, id, access, refresh))
    }

    async fn signed_in(&self, id: &str) -> Result<Option<(User, [u8; 32])>> {
        let (now, id) = (self.now(), id.to_owned());
        read!(self, For::Everybody, signed_in(now, id))
    }

    async fn is_signed_in(&self, id: &str) -> Result<bool> {
        let (now, id) = (self.now(), id.to_owned());
        read!(self, For::Everybody, lives(now, id))
    }

    async fn renew(
        &self,
        id: &str,
        presented: [u8; 32],
        access: TokenHash,
        refresh: TokenHash,
    ) -> Result<Renewal> {
        let (now, id) = (self.now(), id.to_owned());
        write!(self, For::Everybody, renew(now, id, presented, access, refresh))
    }

    async fn sign_out(&self, id: &str) -> Result<()> {
        let id = id.to_owned();
        write!(self, For::Everybody, sign_out(id))
    }
}

/// Whose password was right, and the hash that it was compared with.
#[derive(Clone)]
struct Verified {
    name: UserName,
    password: String,
}

async fn create(connection: &mut PgConnection, now: i64, user: NewUser) -> Result<User> {
    let NewUser { name, tenant, password, rights, groups } = user;
    let row: Option<UserRow> = sqlx::query_as(
        "INSERT INTO users (name, tenant, password, rights, groups, created_at) VALUES ($1, $2, $3, $4, $5, $6) \
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

async fn find(connection: &mut PgConnection, name: UserName) -> Result<Option<(User, String)>> {
    let row: Option<UserRow> = sqlx::query_as("SELECT * FROM users WHERE name = $1")
        .bind(name.as_str())
        .fetch_optional(connection)
        .await
        .during("look up the user")?;
    row.map(UserRow::user).transpose()
}

async fn list(
    connection: &mut PgConnection,
    tenant: Option<TenantId>,
    cursor: String,
    limit: u32,
) -> Result<Page<User>> {
    // The cursor is tenant and name of the last user; neither has a space.
    let (after_tenant, after_name) = cursor.split_once(' ').unwrap_or_default();
    let rows: Vec<UserRow> = sqlx::query_as(
        "SELECT * FROM users WHERE ($1::text IS NULL OR tenant = $1) AND (tenant, name) > ($2, $3) \
         ORDER BY tenant, name LIMIT $4",
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

async fn replace(connection: &mut PgConnection, name: UserName, password: String) -> Result<()> {
    let changed = sqlx::query("UPDATE users SET password = $1 WHERE name = $2")
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

async fn disable(connection: &mut PgConnection, at: Option<i64>, name: UserName) -> Result<()> {
    let changed = sqlx::query("UPDATE users SET disabled_at = $1 WHERE name = $2")
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

async fn remove(connection: &mut PgConnection, name: UserName) -> Result<()> {
    end_all(connection, &name).await?;
    let removed = sqlx::query("DELETE FROM users WHERE name = $1")
        .bind(name.as_str())
        .execute(connection)
        .await
        .during("remove the user")?;
    if removed.rows_affected() == 0 { Err(unknown(&name)) } else { Ok(()) }
}

async fn end_all(connection: &mut PgConnection, name: &UserName) -> Result<()> {
    sqlx::query("DELETE FROM sign_ins WHERE user_name = $1")
        .bind(name.as_str())
        .execute(connection)
        .await
        .during("end the sign-ins")?;
    Ok(())
}

/// The tenant of a user who may come in. Its row is locked, so that another password does not slip in before the commit.
async fn admitted(connection: &mut PgConnection, who: &Verified) -> Result<String> {
    let tenant: Option<String> = sqlx::query_scalar(
        "SELECT tenant::text FROM users WHERE name = $1 AND password = $2 AND disabled_at IS NULL FOR NO KEY UPDATE",
    )
    .bind(who.name.as_str())
    .bind(&who.password)
    .fetch_optional(connection)
    .await
    .during("look up the user")?;
    tenant.ok_or_else(|| shut_out(&who.name))
}

async fn sign_in(
    connection: &mut PgConnection,
    now: i64,
    who: Verified,
    id: String,
    access: TokenHash,
    refresh: TokenHash,
) -> Result<()> {
    let tenant = admitted(connection, &who).await?;
    sqlx::query(
        "DELETE FROM sign_ins WHERE id IN \
            (SELECT id FROM sign_ins WHERE refresh_expires <= $1 ORDER BY id FOR UPDATE SKIP LOCKED)",
    )
    .bind(now)
    .execute(&mut *connection)
    .await
    .during("remove expired sign-ins")?;
    sqlx::query(
        "DELETE FROM sign_ins WHERE id IN (SELECT id FROM sign_ins WHERE user_name = $1 \
         ORDER BY created_at DESC, id DESC OFFSET $2)",
    )
    .bind(who.name.as_str())
    .bind(i64::from(MOST_SIGN_INS) - 1)
    .execute(&mut *connection)
    .await
    .during("end the oldest sign-ins")?;
    let kept = sqlx::query(
        "INSERT INTO sign_ins (id, tenant, user_name, access_hash, access_expires, refresh_hash, refresh_expires, \
            created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(tenant)
    .bind(who.name.as_str())
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

async fn signed_in(connection: &mut PgConnection, now: i64, id: String) -> Result<Option<(User, [u8; 32])>> {
    let found: Option<SignInRow> = sqlx::query_as(
        "SELECT u.*, s.access_hash AS hash FROM sign_ins s JOIN users u ON u.name = s.user_name \
         WHERE s.id = $1 AND s.access_expires > $2 AND s.refresh_expires > $2",
    )
    .bind(id)
    .bind(now)
    .fetch_optional(connection)
    .await
    .during("look up the sign-in")?;
    found.map(SignInRow::signed_in).transpose()
}

async fn lives(connection: &mut PgConnection, now: i64, id: String) -> Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sign_ins WHERE id = $1 AND refresh_expires > $2)")
        .bind(id)
        .bind(now)
        .fetch_one(connection)
        .await
        .during("look up the sign-in")
}

async fn renew(
    connection: &mut PgConnection,
    now: i64,
    id: String,
    presented: [u8; 32],
    access: TokenHash,
    refresh: TokenHash,
) -> Result<Renewal> {
    let found: Option<SignInRow> = sqlx::query_as(
        "SELECT u.*, s.refresh_hash AS hash FROM sign_ins s JOIN users u ON u.name = s.user_name \
         WHERE s.id = $1 AND s.refresh_expires > $2 FOR UPDATE OF s",
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
        "UPDATE sign_ins SET access_hash = $1, access_expires = $2, refresh_hash = $3, refresh_expires = $4 \
         WHERE id = $5",
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

async fn sign_out(connection: &mut PgConnection, id: String) -> Result<()> {
    sqlx::query("DELETE FROM sign_ins WHERE id = $1")
        .bind(id)
        .execute(connection)
        .await
        .during("end the sign-in")?;
    Ok(())
}
