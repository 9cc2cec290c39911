//! The rules every blob store keeps, on PostgreSQL, and what is special about that one.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use sqlx::Connection;
use wellspring_store::blobs::{Blobs, PostgresBlobs};
use wellspring_store::catalog::postgres::PostgresCatalog;
use wellspring_store::clock::TestClock;
use wellspring_store::{ContentHash, ErrorKind};

use super::{NOON, Opened, Release, open};
use crate::contract::blobs::{self as contract, tenant};

async fn blobs(opened: &Opened) -> PostgresBlobs {
    let catalog = PostgresCatalog::open(&opened.config, Arc::new(TestClock::at(NOON))).await.unwrap();
    PostgresBlobs::of(&catalog)
}

macro_rules! rules {
    ($($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            let Some(opened) = open(Release::Pg18).await else { return };
            contract::$rule(&blobs(&opened).await).await;
        }
    )+};
}

rules!(
    what_is_put_can_be_got,
    putting_twice_is_harmless,
    the_limit_leaves_nothing_behind,
    an_interrupted_stream_leaves_nothing_behind,
    tenants_have_their_own_blobs,
    deleting_is_final_and_repeatable,
    blobs_are_listed_in_order,
    many_at_once,
);

#[tokio::test]
async fn large_blobs_are_kept_in_parts_and_checked() {
    let Some(opened) = open(Release::Pg16).await else { return };
    let blobs = blobs(&opened).await;
    // Around the borders of parts, in pieces that do not fit them.
    for size in [1 << 20, (1 << 20) + 1, 3 << 20, 5_000_000] {
        let whole: Vec<u8> = (0..size).map(|i: usize| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let pieces: Vec<std::io::Result<Bytes>> =
            whole.chunks(70_001).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let stream = futures::stream::iter(pieces).boxed();
        let (hash, length) = blobs.put(&tenant("a"), stream, u64::MAX).await.unwrap();
        assert_eq!((hash, length), (ContentHash::of(&whole), size as u64));
        assert_eq!(blobs.get(&tenant("a"), &hash).await.unwrap(), Bytes::from(whole));
    }
    let (hash, _) = contract::put(&blobs, "b", &[b"hello"]).await.unwrap();
    let mut superuser = opened.server.superuser(&opened.database).await.unwrap();
    sqlx::query("UPDATE blob_parts SET part = 'hellO' WHERE hash = $1")
        .bind(hash.0.as_slice())
        .execute(&mut superuser)
        .await
        .unwrap();
    superuser.close().await.unwrap();
    assert_eq!(blobs.get(&tenant("b"), &hash).await.unwrap_err().kind(), ErrorKind::Corrupt);
}
