//! Reads delimited values as a Markdown table; the delimiter is found by what cuts the lines most evenly.

use csv::ReaderBuilder;

use crate::charset::decode;

use super::table::Table;
use super::{Draft, Failure, Source};

/// Rows of one table in memory; longer files are written table by table with the same header.
const BATCH: usize = 50_000;

/// The table with its first record as header; records may have more or fewer fields.
///
/// A file in which no delimiter cuts anything is kept as lines. Source positions are bytes of the record.
pub(super) fn read(source: &Source<'_>) -> Result<Draft, Failure> {
    let decoded = decode(source.bytes, source.charset());
    let text = decoded.text.as_str();
    let mut draft = Draft::new(decoded.basis());
    if decoded.damaged {
        draft.warnings.push(format!("some bytes are not valid {} and were replaced", decoded.charset));
    }
    let part = draft.body.map.part("");
    let delimiter = delimiter(text);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let mut header: Option<Vec<String>> = None;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut spans: Vec<(u64, u64)> = Vec::new();
    let shift = decoded.shift() as u64;
    let mut record = csv::StringRecord::new();
    loop {
        let from = reader.position().byte();
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(Failure::corrupt(format!("the table cannot be read: {error}"))),
        }
        let cells: Vec<String> = record.iter().map(str::to_owned).collect();
        header.get_or_insert_with(|| cells.clone());
        rows.push(cells);
        spans.push((from + shift, reader.position().byte() + shift));
        if rows.len() >= BATCH {
            write(&mut draft, &mut rows, &mut spans, part);
            if draft.body.text.len() > source.limits.max_output_bytes {
                break;
            }
            rows.extend(header.clone());
            spans.push((0, 0));
        }
    }
    write(&mut draft, &mut rows, &mut spans, part);
    Ok(draft)
}

fn write(draft: &mut Draft, rows: &mut Vec<Vec<String>>, spans: &mut Vec<(u64, u64)>, part: u32) {
    let table = Table::new(std::mem::take(rows));
    let spans = std::mem::take(spans);
    draft.body.block();
    for (index, line) in table.lines() {
        match index.and_then(|i| spans.get(i)) {
            Some(&(from, to)) if to > from => draft.body.push(&line, part, from, to),
            _ => draft.body.glue(&line),
        }
        draft.body.glue("\n");
    }
}

/// Of comma, semicolon, tab and bar the one that gives the most records the same number of fields, more than one.
fn delimiter(text: &str) -> u8 {
    let mut end = text.len().min(64 * 1024);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let sample = text.get(..end).unwrap_or(text);
    let mut best = (0_usize, b',');
    for candidate in [b',', b';', b'\t', b'|'] {
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(candidate)
            .from_reader(sample.as_bytes());
        let widths: Vec<usize> = reader.records().take(100).flatten().map(|r| r.len()).collect();
        let Some(&first) = widths.first().filter(|w| **w > 1) else { continue };
        let even = widths.iter().filter(|w| **w == first).count();
        // An even cut counts most, then how many fields it makes.
        let score = even * 1000 / widths.len().max(1) * 10 + first.min(100);
        if score > best.0 {
            best = (score, candidate);
        }
    }
    best.1
}
