//! Formats and what is refused or accepted in them.

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    folder
}

const CORPUS: (&str, &str) = ("corpus.jsonl", "{\"_id\":\"d1\",\"text\":\"a\"}\n{\"_id\":\"d 2\"}\n");
const QUERIES: (&str, &str) = (
    "queries.jsonl",
    "{\"_id\":\"1\",\"text\":\"one\",\"metadata\":{\"type\":\"fact\"}}\n{\"_id\":\"2\",\"text\":\"two\"}\n",
);

fn refusal(files: &[(&str, &str)]) -> String {
    let folder = folder(files);
    let error = Dataset::open(folder.path(), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    error.to_string()
}

#[test]
fn a_beir_folder_reads_with_line_separators_inside_strings() {
    let folder = folder(&[
        ("corpus.jsonl", "{\"_id\":\"d1\",\"title\":\"T\",\"text\":\"a\u{2028}b\"}\n{\"_id\":\"1\"}\n"),
        (
            "queries.jsonl",
            "\u{feff}{\"_id\":\"1\",\"text\":\"o\u{2028}ne\"}\r\n{\"_id\":\"2\",\"text\":\"two\"}\n",
        ),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n1\td1\t2\n1\t1\t-1\n"),
    ]);
    let dataset = Dataset::open(folder.path(), None).unwrap();
    assert_eq!(dataset.queries.len(), 1, "only judged queries");
    assert_eq!((dataset.qrels["1"]["d1"], dataset.qrels["1"]["1"]), (2, 0));
    let Documents::Corpus(path) = &dataset.documents else { panic!() };
    let documents: Vec<_> = corpus(path).unwrap().map(Result::unwrap).collect();
    assert_eq!(documents[0].text, "a\u{2028}b");
    assert_eq!(documents[1], CorpusDocument { id: "1".into(), title: String::new(), text: String::new() });
    let accepted: Vec<&str> = dataset.accepted.0.keys().map(String::as_str).collect();
    assert_eq!(
        accepted,
        [
            "byte order marks",
            "documents whose id is a query's",
            "line separators inside strings",
            "lines ended by CR LF",
            "negative grades, counted as 0",
            "queries without judgements, left out",
        ]
    );
}

#[test]
fn wrong_input_is_refused_with_its_place() {
    let broken = ("queries.jsonl", "{\"_id\":\"1\",\"text\":\"one\"}\n{\"_id\":1}\n");
    let qrels = ("qrels/test.tsv", "1\td1\t2\n");
    assert!(refusal(&[CORPUS, broken, qrels]).contains("queries.jsonl line 2"));

    let unknown_query = refusal(&[CORPUS, QUERIES, ("qrels/test.tsv", "1\td1\t2\n7\td1\t1\n")]);
    assert!(unknown_query.contains("query `7`"), "{unknown_query}");
    let unknown_document = refusal(&[CORPUS, QUERIES, ("qrels/test.tsv", "1\td1\t2\n2\td3\t1\n")]);
    assert!(unknown_document.contains("document `d3` for query `2`"), "{unknown_document}");
    let nothing = refusal(&[CORPUS, QUERIES, ("qrels/test.tsv", "1\td1\t0\n")]);
    assert!(nothing.contains("no document as relevant"), "{nothing}");
    let empty = refusal(&[CORPUS, QUERIES, ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n")]);
    assert!(empty.contains("has no judgements"), "{empty}");
    let twice = ("corpus.jsonl", "{\"_id\":\"d1\"}\n{\"_id\":\"d1\"}\n");
    assert!(refusal(&[twice, QUERIES, qrels]).contains("document `d1` twice"));
    let again = ("queries.jsonl", "{\"_id\":\"1\",\"text\":\"a\"}\n{\"_id\":\"1\",\"text\":\"b\"}\n");
    assert!(refusal(&[CORPUS, again, qrels]).contains("line 2: query `1` is there twice"));

    let folder = folder(&[CORPUS, QUERIES, qrels]);
    let split = Dataset::open(folder.path(), Some("dev")).unwrap_err().to_string();
    assert!(split.contains("no split `dev`; there are: test"), "{split}");
}

#[test]
fn questions_by_hand_read_alike_as_csv_and_jsonl() {
    let folder = folder(&[
        ("docs/a.md", "alpha"),
        ("docs/b c.md", "beta"),
        (
            "q.csv",
            "\u{feff}question,document,span,grade\r\n\"Which, then?\",a.md,alpha,2\r\nWhy?,b c.md,,\r\n\"Which, then?\",b c.md,,1\r\n",
        ),
        (
            "q.jsonl",
            "{\"question\":\"Which, then?\",\"document\":\"a.md\",\"span\":\"alpha\",\"grade\":2}\n{\"question\":\"Why?\",\"document\":\"b c.md\"}\n{\"question\":\"Which, then?\",\"document\":\"b c.md\"}\n",
        ),
    ]);
    let docs = folder.path().join("docs");
    let csv = Dataset::over(&folder.path().join("q.csv"), &docs).unwrap();
    let jsonl = Dataset::over(&folder.path().join("q.jsonl"), &docs).unwrap();
    assert_eq!((&csv.queries, &csv.qrels, &csv.spans), (&jsonl.queries, &jsonl.qrels, &jsonl.spans));
    assert_eq!(csv.checksum, jsonl.checksum);
    assert_eq!(csv.queries["q0001"], "Which, then?");
    assert_eq!(csv.qrels["q0001"]["b c.md"], 1);
    assert_eq!(csv.spans["q0001"], [GoldSpan { document: "a.md".into(), quote: "alpha".into() }]);
}

#[test]
fn rows_by_hand_are_refused_where_they_contradict() {
    for (name, text, complaint) in [
        ("q.csv", "question,document\na,d\na,d\n", "line 3: `d` is there twice"),
        ("q.csv", "question,document,grade\na,d,high\n", "line 2: the columns are"),
        (
            "q.csv",
            "question,document,span,grade\na,d,x,1\na,d,y,2\n",
            "line 3: `d` has grade 2 here and 1 further up",
        ),
        ("q.csv", "question,doc,note\na,d,x\n", "line 2: the columns are"),
        ("q.csv", "question,document\na\n", "line 2: not a row"),
        ("q.csv", "question,document\n", "has no row"),
        ("q.csv", "question,document\n ,d\n", "line 2: a row needs"),
        ("q.jsonl", "{\"question\":\"a\"}\n", "line 1: not a JSON object"),
        (
            "q.jsonl",
            "{\"id\":\"1\",\"question\":\"a\",\"document\":\"d\"}\n{\"id\":\"1\",\"question\":\"b\",\"document\":\"d\"}\n",
            "line 2: question `1` has another text",
        ),
        ("q.txt", "a", "must end in .csv or .jsonl"),
    ] {
        let folder = folder(&[(name, text)]);
        let error = Dataset::open(&folder.path().join(name), None).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
    }
}

#[test]
fn quotes_belong_to_judged_documents() {
    let manifest = ("dataset.toml", "spans = \"spans.jsonl\"\n");
    let qrels = ("qrels/test.tsv", "1\td1\t2\n");
    let good = ("spans.jsonl", "{\"query-id\":\"1\",\"corpus-id\":\"d1\",\"quote\":\"a\"}\n");
    let read = folder(&[CORPUS, QUERIES, qrels, manifest, good]);
    let dataset = Dataset::open(read.path(), None).unwrap();
    assert_eq!(dataset.spans["1"].len(), 1);
    assert_eq!(dataset.types["1"], "fact");
    let bad = ("spans.jsonl", "{\"query-id\":\"1\",\"corpus-id\":\"d 2\",\"quote\":\"a\"}\n");
    assert!(refusal(&[CORPUS, QUERIES, qrels, manifest, bad]).contains("`d 2` is not judged for query `1`"));
}

#[test]
fn a_part_of_the_queries_is_another_dataset() {
    let folder = folder(&[CORPUS, QUERIES, ("qrels/test.tsv", "1\td1\t2\n2\td 2\t1\n")]);
    let whole = Dataset::open(folder.path(), None).unwrap();
    let part = whole.only("part", &BTreeSet::from(["2".to_owned()]));
    assert_eq!((part.queries.len(), part.qrels.len()), (1, 1));
    assert_ne!(part.checksum, whole.checksum);
}
