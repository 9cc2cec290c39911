//! The rules every blob store keeps, on a local folder, and what is special about that one.

use std::path::{Path, PathBuf};

use crate::contract::blobs::{self as contract, put, tenant};
use bytes::Bytes;
use wellspring_store::blobs::{Blobs, LocalBlobs};
use wellspring_store::{ContentHash, ErrorKind};

macro_rules! rules {
    ($($rule:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $rule() {
            let folder = tempfile::tempdir().unwrap();
            contract::$rule(&LocalBlobs::open(folder.path()).unwrap()).await;
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

fn path_of(root: &Path, tenant: &str, hash: &ContentHash) -> PathBuf {
    let hex = hash.to_hex();
    root.join(tenant).join(&hex[..2]).join(&hex[2..])
}

#[tokio::test]
async fn a_changed_file_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = LocalBlobs::open(folder.path()).unwrap();
    let (hash, _) = put(&blobs, "a", &[b"hello"]).await.unwrap();
    fs_err::write(path_of(folder.path(), "a", &hash), b"hellO").unwrap();
    let refused = blobs.get(&tenant("a"), &hash).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    // Putting the true bytes again mends it.
    put(&blobs, "a", &[b"hello"]).await.unwrap();
    assert_eq!(blobs.get(&tenant("a"), &hash).await.unwrap(), Bytes::from_static(b"hello"));
}

#[tokio::test]
async fn leftovers_are_removed_at_start_and_foreign_files_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = LocalBlobs::open(folder.path()).unwrap();
    let (hash, _) = put(&blobs, "a", &[b"kept"]).await.unwrap();
    fs_err::write(folder.path().join(".incoming").join("torn"), b"half a do").unwrap();
    fs_err::write(folder.path().join("a").join("notes.txt"), b"x").unwrap();
    let blobs = LocalBlobs::open(folder.path()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path().join(".incoming")).unwrap().count(), 0);
    assert_eq!(blobs.list(&tenant("a")).await.unwrap(), [hash]);
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let blobs = LocalBlobs::open(folder.path().join("blobs")).unwrap();
    let (hash, _) = put(&blobs, "a", &[b"x"]).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o077;
    assert_eq!(mode(&folder.path().join("blobs/a")), 0);
    assert_eq!(mode(&path_of(&folder.path().join("blobs"), "a", &hash)), 0);
}

#[tokio::test]
async fn a_file_in_the_way_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("file"), b"").unwrap();
    let refused = LocalBlobs::open(folder.path().join("file")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("in the way"), "{refused}");
}
