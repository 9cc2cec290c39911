//! TREC run files (`qid Q0 docid rank score tag`), written and read.
//!
//! Ids are percent-encoded where they hold white space, `%` or control characters, since the format is split at white
//! space, and decoded when read.

use std::fmt::Write as _;
use std::path::Path;

use crate::error::{ErrorKind, EvalError, Result};
use crate::metrics::{Run, sort_as_trec_eval};

/// Writes a run. Each ranking stands in the order in which trec_eval will judge it, so that rank column, score column
/// and judged order agree.
pub fn write(path: &Path, run: &Run, tag: &str) -> Result<()> {
    let mut text = String::new();
    for (query, ranking) in run {
        let mut ranking = ranking.clone();
        sort_as_trec_eval(&mut ranking);
        for (at, (document, score)) in ranking.iter().enumerate() {
            // Rust prints the shortest digits that read back as the same 32-bit number.
            writeln!(text, "{} Q0 {} {} {score} {}", encode(query), encode(document), at + 1, encode(tag))
                .map_err(|e| EvalError::new(ErrorKind::Io, "a run line can't be formatted").with_source(e))?;
        }
    }
    fs_err::write(path, text)?;
    Ok(())
}

/// Reads a run. The rank column is ignored, as trec_eval does.
pub fn read(path: &Path) -> Result<Run> {
    let text = fs_err::read_to_string(path)?;
    let mut run = Run::new();
    for (number, line) in lines(&text) {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let [query, _, document, _, score, _] = columns.as_slice() else {
            return Err(wrong(
                path,
                number,
                "a run line has six columns: qid Q0 docid rank score tag; white space in an id is percent-encoded",
            ));
        };
        let score: f32 = score
            .parse()
            .ok()
            .filter(|score: &f32| score.is_finite())
            .ok_or_else(|| wrong(path, number, "the fifth column is not a finite number"))?;
        let ranking = run.entry(decode(query)).or_default();
        ranking.push((decode(document), score));
    }
    if run.is_empty() {
        return Err(EvalError::new(ErrorKind::Invalid, format!("{} has no ranking", path.display())));
    }
    Ok(run)
}

/// Lines with their numbers from 1, without a byte order mark, carriage returns and blank lines. Only LF ends a line.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.strip_prefix('\u{feff}')
        .unwrap_or(text)
        .split('\n')
        .enumerate()
        .map(|(at, line)| (at + 1, line.strip_suffix('\r').unwrap_or(line)))
        .filter(|(_, line)| !line.trim().is_empty())
}

/// A fault at a line of a file.
pub(crate) fn wrong(path: &Path, line: usize, what: impl std::fmt::Display) -> EvalError {
    EvalError::new(ErrorKind::Invalid, format!("{} line {line}: {what}", path.display()))
}

/// Percent-encodes white space, control characters and `%`.
pub fn encode(id: &str) -> String {
    let mut out = String::with_capacity(id.len());
    for c in id.chars() {
        if c.is_whitespace() || c.is_control() || c == '%' {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                // Writing to a string can't fail.
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Undoes [`encode`]; a `%` that is not followed by two hexadecimal digits, or bytes that are no UTF-8, stay as they are.
pub fn decode(id: &str) -> String {
    let bytes = id.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = (byte == b'%').then(|| id.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_id_survives(id in "\\PC*|[ %\t\u{85}\u{2028}a-z]*") {
            let encoded = encode(&id);
            prop_assert!(!encoded.contains(char::is_whitespace));
            prop_assert_eq!(decode(&encoded), id);
        }
    }

    #[test]
    fn a_run_reads_back_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.trec");
        let run = Run::from([
            ("q 1".to_owned(), vec![("a b%".to_owned(), 0.1), ("c".to_owned(), 0.1), ("d".to_owned(), 3.5)]),
            ("q2".to_owned(), vec![("é".to_owned(), -1e-30)]),
        ]);
        write(&path, &run, "test run").unwrap();
        let text = fs_err::read_to_string(&path).unwrap();
        assert!(text.starts_with("q%201 Q0 d 1 3.5 test%20run\nq%201 Q0 c 2 0.1 "), "{text}");
        let mut back = read(&path).unwrap();
        let mut expected = run;
        for ranking in back.values_mut().chain(expected.values_mut()) {
            sort_as_trec_eval(ranking);
        }
        assert_eq!(back, expected);
    }

    #[test]
    fn faults_name_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.trec");
        fs_err::write(&path, "\u{feff}q Q0 d 1 0.5 t\r\n\nq Q0 d2 2 high t\n").unwrap();
        let error = read(&path).unwrap_err().to_string();
        for columns in ["q Q0 d 1 0.5", "q Q0 d e 1 0.5 t"] {
            let other = folder.path().join("columns.trec");
            fs_err::write(&other, columns).unwrap();
            let error = read(&other).unwrap_err().to_string();
            assert!(error.contains("line 1: a run line has six columns"), "{error}");
        }
        assert!(error.ends_with("run.trec line 3: the fifth column is not a finite number"), "{error}");
    }
}
