//! The second wall: what SQL without any condition can reach under the role that the service works with.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use wellspring_store::catalog::postgres::ROLE;
use wellspring_store::{Scope, TenantId};

use super::{Opened, Release, open};
use crate::contract::fixture::{document, restricted};

const TABLES: &[&str] = &[
    "tenants",
    "collections",
    "documents",
    "versions",
    "segments",
    "chunks",
    "vectors",
    "vector_writers",
    "fields",
    "names",
    "jobs",
    "changes",
    "index_states",
    "replicas",
    "idempotency",
    "queries",
    "tuning",
    "purges",
    "doomed_blobs",
    "blobs",
    "blob_parts",
    "vector_states",
    "api_keys",
    "audit",
    "ledger_open",
    "ledger_balances",
    "ledger_usage",
    "replies",
    "reply_sources",
    "conversations",
    "turns",
    "runs",
    "feedback",
    "events",
    "event_numbers",
    "webhook_cursors",
    "deliveries",
    "users",
    "sign_ins",
    "restores",
];

/// A connection as a login that is a member of the application's role and nothing else, under that role.
async fn as_application(opened: &Opened) -> PgConnection {
    let mut superuser = opened.server.superuser(&opened.database).await.unwrap();
    let login = format!("login_{}", opened.database);
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE ROLE {login} LOGIN NOINHERIT; GRANT {ROLE} TO {login}")))
        .execute(&mut superuser)
        .await
        .unwrap();
    superuser.close().await.unwrap();
    let url = opened.server.url(&login, &opened.database);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("SET ROLE {ROLE}"))).execute(&mut connection).await.unwrap();
    connection
}

async fn count(connection: &mut PgConnection, from: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {from}");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await.unwrap()
}

async fn two_tenants(opened: &Opened) {
    let f = &opened.fixture;
    for name in ["ada", "bob"] {
        let scope = Scope::administrator(TenantId::new(name).unwrap());
        let docs = f.make(&scope, "docs").await;
        f.published(&docs, document("a", name), &format!("text of {name}\n")).await;
        f.published(&docs, restricted("b", name, &["user:x"]), "secret\n").await;
    }
}

#[tokio::test]
async fn unscoped_sql_finds_nothing_and_one_tenant_only_its_own() {
    for release in [Release::Pg16, Release::Pg18] {
        let Some(opened) = open(release).await else { continue };
        two_tenants(&opened).await;
        let mut connection = as_application(&opened).await;
        for table in TABLES.iter().chain(&["visible"]) {
            assert_eq!(count(&mut connection, table).await, 0, "{table} without a tenant");
        }
        let mut ada = connection.begin().await.unwrap();
        sqlx::raw_sql("SET LOCAL wellspring.tenant = 'ada'").execute(&mut *ada).await.unwrap();
        for (table, rows) in
            [("tenants", 1), ("collections", 1), ("documents", 2), ("versions", 2), ("chunks", 2)]
        {
            assert_eq!(count(&mut ada, table).await, rows, "{table}");
        }
        assert_eq!(count(&mut ada, "visible WHERE tenant = 'bob'").await, 0);
        let stolen = "UPDATE documents SET deleted_at = 1 WHERE tenant = 'bob'";
        assert_eq!(sqlx::query(stolen).execute(&mut *ada).await.unwrap().rows_affected(), 0);
        let gone = sqlx::query("DELETE FROM segments").execute(&mut *ada).await.unwrap().rows_affected();
        assert_eq!(gone, 2, "its own only");
        ada.rollback().await.unwrap();
        // What one transaction set, the next one on the same connection has not.
        assert_eq!(count(&mut connection, "documents").await, 0);
    }
}

#[tokio::test]
async fn nobody_writes_rows_for_another_tenant() {
    let Some(opened) = open(Release::Pg18).await else { return };
    two_tenants(&opened).await;
    let mut connection = as_application(&opened).await;
    for statement in [
        "INSERT INTO tenants VALUES ('eve', 1)",
        "INSERT INTO purges (at, tenant, collection_key, document_key, document_hash, version, chunks, bytes) \
            VALUES (1, 'bob', 1, 1, '', 1, 1, 1)",
        "UPDATE documents SET tenant = 'bob'",
    ] {
        let mut ada = connection.begin().await.unwrap();
        sqlx::raw_sql("SET LOCAL wellspring.tenant = 'ada'").execute(&mut *ada).await.unwrap();
        let refused = sqlx::query(statement).execute(&mut *ada).await.unwrap_err();
        assert!(refused.to_string().contains("row-level security"), "{statement}: {refused}");
        ada.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn the_role_can_neither_lift_the_wall_nor_see_behind_it() {
    let Some(opened) = open(Release::Pg18).await else { return };
    two_tenants(&opened).await;
    let mut connection = as_application(&opened).await;
    for statement in [
        "ALTER TABLE documents DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant_wall ON documents",
        "TRUNCATE documents CASCADE",
        "DROP TABLE documents CASCADE",
        "SELECT * FROM _sqlx_migrations",
        "SET ROLE postgres",
        "CREATE TABLE public.mine (x int)",
    ] {
        assert!(sqlx::raw_sql(statement).execute(&mut connection).await.is_err(), "{statement}");
    }
    // Asking for what policies would hide is an error instead of an answer.
    sqlx::raw_sql("SET row_security = off").execute(&mut connection).await.unwrap();
    assert!(sqlx::query("SELECT * FROM documents").fetch_all(&mut connection).await.is_err());
    let (superuser, bypasses): (bool, bool) =
        sqlx::query_as("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert!(!superuser && !bypasses);
}

/// A table that is added later must not be forgotten.
#[tokio::test]
async fn every_table_is_walled_for_its_owner_too() {
    let Some(opened) = open(Release::Pg18).await else { return };
    let mut superuser = opened.server.superuser(&opened.database).await.unwrap();
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace \
            AND NOT (relrowsecurity AND relforcerowsecurity)",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    assert_eq!(open, ["_sqlx_migrations"]);
    let walled: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relrowsecurity")
            .fetch_one(&mut superuser)
            .await
            .unwrap();
    assert_eq!(walled as usize, TABLES.len());
}
