//! The keyword contract on tantivy, on disk and in memory, and what only the one on disk can show.

use crate::contract::keyword;
use wellspring_store::keyword::tantivy::TantivyIndex;
use wellspring_store::keyword::{KeywordIndex, KeywordQuery, KeywordScoring};
use wellspring_store::{ErrorKind, Seq};

#[tokio::test]
async fn tantivy_in_memory() {
    keyword::check(&TantivyIndex::in_memory().unwrap()).await;
}

#[tokio::test]
async fn tantivy_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    keyword::check(&TantivyIndex::open(folder.path()).unwrap()).await;
    let again = TantivyIndex::open(folder.path()).unwrap();
    assert_eq!(again.watermark().await.unwrap(), Seq(41));
    assert_eq!(keyword::keys_of(&again, "warranty", 10, None).await, [1]);
}

#[tokio::test]
async fn what_was_not_flushed_is_not_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let index = TantivyIndex::open(folder.path()).unwrap();
    index.upsert(vec![keyword::entry(1, "", "kept", None)]).await.unwrap();
    index.flush(Seq(1)).await.unwrap();
    index.upsert(vec![keyword::entry(2, "", "lost", None)]).await.unwrap();
    drop(index);
    let again = TantivyIndex::open(folder.path()).unwrap();
    assert_eq!((again.watermark().await.unwrap(), again.len().await.unwrap()), (Seq(1), 1));
}

#[tokio::test]
async fn damage_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let index = TantivyIndex::open(folder.path()).unwrap();
    index
        .upsert((1..500).map(|key| keyword::entry(key, "", &format!("word{key} shared"), None)).collect())
        .await
        .unwrap();
    index.flush(Seq(1)).await.unwrap();
    index.rest().await.unwrap();
    let file = fs_err::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|end| end == "idx")).unwrap();
    let mut bytes = fs_err::read(&file).unwrap();
    bytes[20] ^= 0xFF;
    fs_err::write(&file, &bytes).unwrap();
    let flipped = TantivyIndex::open(folder.path()).unwrap();
    assert_eq!(flipped.check().await.unwrap_err().kind(), ErrorKind::Corrupt);
    fs_err::write(&file, &bytes[..10]).unwrap();
    let opened = TantivyIndex::open(folder.path());
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::Corrupt);
    fs_err::write(folder.path().join("meta.json"), "{").unwrap();
    assert_eq!(TantivyIndex::open(folder.path()).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn titles_count_more_when_they_are_told_to() {
    let texts = |scoring: KeywordScoring| async move {
        let index = TantivyIndex::in_memory().unwrap();
        let all = vec![
            keyword::entry(1, "", "compressor compressor surge margin of the engine", Some("en")),
            keyword::entry(
                2,
                "Compressor",
                "surge margin of the engine and other things besides it here",
                Some("en"),
            ),
        ];
        index.upsert(all).await.unwrap();
        index.flush(Seq(1)).await.unwrap();
        let query = KeywordQuery { scoring, ..KeywordQuery::new("compressor", 2) };
        index.search(query).await.unwrap().iter().map(|hit| hit.key.0).collect::<Vec<_>>()
    };
    let plain = texts(KeywordScoring::default()).await;
    let weighted = texts(KeywordScoring { title: 2.0, ..KeywordScoring::default() }).await;
    assert_eq!((plain, weighted), (vec![1, 2], vec![2, 1]));
}

/// A language that few documents are in must not lift their words above everybody's.
#[tokio::test]
async fn a_rare_language_does_not_outrank_by_rarity() {
    let index = TantivyIndex::in_memory().unwrap();
    let mut all: Vec<_> =
        (1..=50).map(|key| keyword::entry(key, "", "running costs of pumps", Some("en"))).collect();
    all.push(keyword::entry(60, "", "running running running costs", Some("en")));
    all.push(keyword::entry(70, "", "running costs of pumps and many other words in it", Some("nl")));
    index.upsert(all).await.unwrap();
    index.flush(Seq(1)).await.unwrap();
    assert_eq!(keyword::keys_of(&index, "running", 1, None).await, [60]);
}

/// An index whose terms were made in another way would answer, and wrongly.
#[tokio::test]
async fn an_index_of_another_analysis_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let index = TantivyIndex::open(folder.path()).unwrap();
    index.upsert(vec![keyword::entry(1, "", "text", None)]).await.unwrap();
    index.flush(Seq(1)).await.unwrap();
    index.rest().await.unwrap();
    drop(index);
    let file = folder.path().join("meta.json");
    let meta = fs_err::read_to_string(&file).unwrap();
    assert!(meta.contains("\"wellspring-2\""), "{meta}");
    fs_err::write(&file, meta.replace("\"wellspring-2\"", "\"wellspring-1\"")).unwrap();
    assert_eq!(TantivyIndex::open(folder.path()).unwrap_err().kind(), ErrorKind::Corrupt);
}
