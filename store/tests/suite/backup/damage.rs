//! A backup that is not to the last bit what was written is refused, and nothing is made of it.

use std::path::{Path, PathBuf};

use wellspring_store::ErrorKind;
use wellspring_store::backup::check;

use super::{config, filled, restored, taken};
use crate::world::copy_folder;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

async fn refused(backup: &Path, target: &Path, why: &str) {
    let error = restored(&config(target), backup).await.expect_err(why);
    assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound), "{why}: {error}");
    assert!(!target.exists(), "{why}: nothing is made before all is checked");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damaged_file_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (good, target) = (folder.path().join("backup"), folder.path().join("target"));
    filled(&folder.path().join("data")).await;
    taken(&config(&folder.path().join("data")), &good).await;
    let backup = folder.path().join("damaged");
    copy_folder(&good, &backup);
    let all = files(&backup);
    assert!(all.len() > 25, "{all:?}");
    for path in all {
        let name = path.display().to_string();
        let whole = fs_err::read(&path).unwrap();
        // The first, the last and some in between; one bit each.
        for place in [0, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[place] ^= 1;
            fs_err::write(&path, flipped).unwrap();
            refused(&backup, &target, &format!("{name} with byte {place} flipped")).await;
        }
        fs_err::write(&path, &whole[..whole.len() - 1]).unwrap();
        refused(&backup, &target, &format!("{name} cut short")).await;
        fs_err::write(&path, [whole.as_slice(), b"\n"].concat()).unwrap();
        refused(&backup, &target, &format!("{name} with a byte too many")).await;
        fs_err::remove_file(&path).unwrap();
        refused(&backup, &target, &format!("{name} missing")).await;
        fs_err::write(&path, whole).unwrap();
    }
    check(&backup, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_format_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    filled(&folder.path().join("data")).await;
    taken(&config(&folder.path().join("data")), &backup).await;
    let manifest = backup.join("manifest.json");
    let text = fs_err::read_to_string(&manifest).unwrap();
    fs_err::write(&manifest, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    let error = restored(&config(&folder.path().join("target")), &backup).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("format 2") && error.to_string().contains("release"), "{error}");
    assert!(!folder.path().join("target").exists());
}
