//! The rules that every blob store keeps, as functions over the trait.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use wellspring_store::{Blobs, ContentHash, ErrorKind, Result, TenantId};

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

/// Puts the parts, one after the other, with a limit of a megabyte.
pub(crate) async fn put(
    blobs: &dyn Blobs,
    name: &str,
    parts: &[&'static [u8]],
) -> Result<(ContentHash, u64)> {
    let parts: Vec<std::io::Result<Bytes>> = parts.iter().map(|part| Ok(Bytes::from_static(part))).collect();
    blobs.put(&tenant(name), stream::iter(parts).boxed(), 1_000_000).await
}

pub(crate) async fn what_is_put_can_be_got(blobs: &dyn Blobs) {
    let (hash, length) = put(blobs, "a", &[b"hello, ", b"", b"world"]).await.unwrap();
    assert_eq!((hash, length), (ContentHash::of(b"hello, world"), 12));
    assert_eq!(blobs.get(&tenant("a"), &hash).await.unwrap(), Bytes::from_static(b"hello, world"));
    let (empty, length) = put(blobs, "a", &[]).await.unwrap();
    assert_eq!((empty, length), (ContentHash::of(b""), 0));
    assert!(blobs.get(&tenant("a"), &empty).await.unwrap().is_empty());
}

pub(crate) async fn putting_twice_is_harmless(blobs: &dyn Blobs) {
    let first = put(blobs, "a", &[b"same"]).await.unwrap();
    let second = put(blobs, "a", &[b"sa", b"me"]).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(blobs.list(&tenant("a")).await.unwrap(), [first.0]);
}

pub(crate) async fn the_limit_leaves_nothing_behind(blobs: &dyn Blobs) {
    let parts = || stream::iter([Ok(Bytes::from_static(b"12345")), Ok(Bytes::from_static(b"67890"))]).boxed();
    let refused = blobs.put(&tenant("a"), parts(), 9).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains('9'), "{refused}");
    assert_eq!(blobs.list(&tenant("a")).await.unwrap(), []);
    assert_eq!(blobs.put(&tenant("a"), parts(), 10).await.unwrap().1, 10);
}

pub(crate) async fn an_interrupted_stream_leaves_nothing_behind(blobs: &dyn Blobs) {
    let parts = [Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("the client went away"))];
    assert!(blobs.put(&tenant("a"), stream::iter(parts).boxed(), 100).await.is_err());
    assert_eq!(blobs.list(&tenant("a")).await.unwrap(), []);
}

pub(crate) async fn tenants_have_their_own_blobs(blobs: &dyn Blobs) {
    let (hash, _) = put(blobs, "a", &[b"same"]).await.unwrap();
    assert_eq!(blobs.get(&tenant("b"), &hash).await.unwrap_err().kind(), ErrorKind::NotFound);
    put(blobs, "b", &[b"same"]).await.unwrap();
    blobs.delete(&tenant("a"), &hash).await.unwrap();
    assert!(blobs.get(&tenant("b"), &hash).await.is_ok());
    assert_eq!(blobs.list(&tenant("a")).await.unwrap(), []);
}

pub(crate) async fn deleting_is_final_and_repeatable(blobs: &dyn Blobs) {
    let (hash, _) = put(blobs, "a", &[b"x"]).await.unwrap();
    blobs.delete(&tenant("a"), &hash).await.unwrap();
    blobs.delete(&tenant("a"), &hash).await.unwrap();
    blobs.delete(&tenant("never-seen"), &hash).await.unwrap();
    assert_eq!(blobs.get(&tenant("a"), &hash).await.unwrap_err().kind(), ErrorKind::NotFound);
    put(blobs, "a", &[b"x"]).await.unwrap();
    assert!(blobs.get(&tenant("a"), &hash).await.is_ok());
}

pub(crate) async fn blobs_are_listed_in_order(blobs: &dyn Blobs) {
    let mut hashes = Vec::new();
    for part in [b"1", b"2", b"3", b"4", b"5", b"6"] {
        hashes.push(put(blobs, "a", &[part]).await.unwrap().0);
    }
    hashes.sort_unstable();
    assert_eq!(blobs.list(&tenant("a")).await.unwrap(), hashes);
}

pub(crate) async fn many_at_once(blobs: &dyn Blobs) {
    let puts = (0..20).map(|i| async move {
        let text = format!("blob {}", i % 5).into_bytes();
        let parts = stream::iter([Ok(Bytes::from(text.clone()))]).boxed();
        let (hash, _) = blobs.put(&tenant("a"), parts, 100).await.unwrap();
        assert_eq!(blobs.get(&tenant("a"), &hash).await.unwrap(), Bytes::from(text));
    });
    futures::future::join_all(puts).await;
    assert_eq!(blobs.list(&tenant("a")).await.unwrap().len(), 5);
}
