//! Judgements (TREC and BEIR columns) and topics (SGML and two-column files).

use std::collections::BTreeMap;
use std::path::Path;

use super::Accepted;
use crate::error::{ErrorKind, EvalError, Result};
use crate::metrics::Qrels;
use crate::run::{decode, lines, wrong};

/// Reads judgements: TREC's `qid 0 docid grade`, or BEIR's `qid docid grade` with or without its header. A grade is an
/// integer, below 0 counts as 0. A pair given twice is `Invalid`, and so is a file without judgements.
pub fn read_qrels(path: &Path, accepted: &mut Accepted) -> Result<Qrels> {
    let text = fs_err::read_to_string(path)?;
    accepted.count_in_text(&text);
    let mut qrels = Qrels::new();
    for (number, line) in lines(&text) {
        // BEIR separates by tabs, so its ids may hold spaces; TREC separates by any white space.
        let tabs: Vec<&str> = line.split('\t').map(str::trim).collect();
        let columns = if tabs.len() >= 3 { tabs } else { line.split_whitespace().collect() };
        let (query, document, grade) = match columns.as_slice() {
            [query, document, grade] => (*query, *document, *grade),
            [query, _, document, grade] => (*query, *document, *grade),
            _ => return Err(wrong(path, number, "a judgement has three columns (BEIR) or four (TREC)")),
        };
        if number == 1 && grade == "score" {
            continue;
        }
        // Only TREC's columns are split at white space, so only there ids are percent-encoded.
        let id = |raw: &str| if columns.len() == 3 { raw.to_owned() } else { decode(raw) };
        let grade: i32 = grade
            .parse()
            .map_err(|_| wrong(path, number, format_args!("`{grade}` is not a grade: an integer is")))?;
        let grade = accepted.grade(grade);
        if qrels.entry(id(query)).or_default().insert(id(document), grade).is_some() {
            return Err(wrong(
                path,
                number,
                format_args!("`{document}` is judged twice for query `{query}`"),
            ));
        }
    }
    if qrels.is_empty() {
        return Err(EvalError::new(ErrorKind::Invalid, format!("{} has no judgements", path.display())));
    }
    Ok(qrels)
}

/// Writes judgements in BEIR's columns, sorted. An id with a tab or a line end, which the columns can't hold, is `Invalid`.
pub fn write_qrels(path: &Path, qrels: &Qrels) -> Result<()> {
    Ok(fs_err::write(path, qrels_text(qrels)?)?)
}

/// What [`write_qrels`] writes.
pub fn qrels_text(qrels: &Qrels) -> Result<String> {
    let mut text = HEADER.to_owned();
    for (query, judged) in qrels {
        let mut judged: Vec<_> = judged.iter().collect();
        judged.sort();
        for (document, grade) in judged {
            text.push_str(&row(query, document, *grade)?);
        }
    }
    Ok(text)
}

/// BEIR's header line.
pub(crate) const HEADER: &str = "query-id\tcorpus-id\tscore\n";

/// One line of BEIR's columns, its end included.
pub(crate) fn row(query: &str, document: &str, grade: i32) -> Result<String> {
    if let Some(id) = [query, document].iter().find(|id| id.contains(['\t', '\n', '\r']) || id.trim() != **id)
    {
        return Err(EvalError::new(
            ErrorKind::Invalid,
            format!(
                "the id {id:?} holds a tab, a line end or white space at an end, which columns of judgements can't"
            ),
        ));
    }
    Ok(format!("{query}\t{document}\t{grade}\n"))
}

/// Reads topics: TREC's SGML (`<top> <num> Number: 1 <title> …`, of which the title is the query) or lines of
/// `qid<TAB>text`.
pub fn read_topics(path: &Path, accepted: &mut Accepted) -> Result<BTreeMap<String, String>> {
    let text = fs_err::read_to_string(path)?;
    accepted.count_in_text(&text);
    if text.contains("<top>") { read_sgml(path, &text) } else { read_columns(path, &text) }
}

fn read_columns(path: &Path, text: &str) -> Result<BTreeMap<String, String>> {
    let mut topics = BTreeMap::new();
    for (number, line) in lines(text) {
        let (id, query) = line
            .split_once('\t')
            .ok_or_else(|| wrong(path, number, "a topic line is an id, a tab, and the query's text"))?;
        if topics.insert(decode(id.trim()), query.trim().to_owned()).is_some() {
            return Err(wrong(path, number, format_args!("topic `{id}` is there twice")));
        }
    }
    Ok(topics)
}

fn read_sgml(path: &Path, text: &str) -> Result<BTreeMap<String, String>> {
    let mut topics = BTreeMap::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("<top>").map(|found| at + found) {
        let line = text[..open].matches('\n').count() + 1;
        let body_start = open + "<top>".len();
        let end = text[body_start..].find("</top>").map_or(text.len(), |found| body_start + found);
        let body = &text[body_start..end];
        let id = field(body, "<num>").map(|f| f.trim_start_matches("Number:").trim().to_owned());
        let title = field(body, "<title>")
            .map(|f| f.trim_start_matches("Topic:").split_whitespace().collect::<Vec<_>>().join(" "));
        match (id, title) {
            (Some(id), Some(title)) if !id.is_empty() && !title.is_empty() => {
                if topics.insert(id.clone(), title).is_some() {
                    return Err(wrong(path, line, format_args!("topic `{id}` is there twice")));
                }
            }
            _ => return Err(wrong(path, line, "a topic needs <num> and <title>")),
        }
        at = end;
    }
    Ok(topics)
}

/// What follows a tag up to the next tag.
fn field<'a>(body: &'a str, tag: &str) -> Option<&'a str> {
    let start = body.find(tag)? + tag.len();
    let rest = &body[start..];
    Some(rest.find('<').map_or(rest, |end| &rest[..end]).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs_err::write(&path, text).unwrap();
        (folder, path)
    }

    fn qrels(path: &Path) -> Result<Qrels> {
        read_qrels(path, &mut Accepted::default())
    }

    fn topics(path: &Path) -> Result<BTreeMap<String, String>> {
        read_topics(path, &mut Accepted::default())
    }

    #[test]
    fn both_forms_of_judgements_read_alike() {
        let (_a, trec) = file("1 0 d%201 2\n1 0 d2 -1\n");
        let (_b, beir) = file("query-id\tcorpus-id\tscore\n1\td 1\t2\n1\td2\t-1\n");
        assert_eq!(qrels(&trec).unwrap(), qrels(&beir).unwrap());
        for (text, complaint) in [
            ("1 0 d 1\n1 0 d 1\n", "line 2: `d` is judged twice"),
            ("1 0 d high\n", "line 1: `high` is not a grade"),
            ("1 0 d 1.5\n", "`1.5` is not a grade"),
            ("query-id\tcorpus-id\tscore\n", "has no judgements"),
            ("1 d\n", "line 1: a judgement has three columns"),
        ] {
            let (_c, path) = file(text);
            let error = qrels(&path).unwrap_err().to_string();
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn negative_grades_count_as_none_and_are_reported() {
        let (_a, path) = file("\u{feff}1 0 d -2\r\n1 0 e 3\r\n");
        let mut accepted = Accepted::default();
        assert_eq!(read_qrels(&path, &mut accepted).unwrap()["1"]["d"], 0);
        assert_eq!(
            accepted.to_string(),
            "1 byte order marks, 2 lines ended by CR LF, 1 negative grades, counted as 0"
        );
    }

    #[test]
    fn both_forms_of_topics_read_alike() {
        let (_a, sgml) = file(
            "<top>\n<num> Number: 301\n<title> International\n Organized Crime\n<desc> Description:\nx\n</top>\n<top><num>302<title>b</top>",
        );
        let (_b, columns) = file("301\tInternational Organized Crime\n302\tb\n");
        assert_eq!(topics(&sgml).unwrap(), topics(&columns).unwrap());
        let (_c, broken) = file("<top>\n<num> 1\n</top>");
        assert!(topics(&broken).unwrap_err().to_string().contains("needs <num> and <title>"));
    }
}
