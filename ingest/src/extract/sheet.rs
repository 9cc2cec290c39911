//! Reads spreadsheets (XLSX, XLSB, XLS, ODS): every sheet a page, every block of cells a Markdown table.

use std::collections::BTreeMap;
use std::io::Cursor;

use calamine::{
    Data, DataRef, Dimensions, Error, ExcelDateTime, Reader as _, Sheets, open_workbook_auto_from_rs,
};

use crate::detect::Format;
use crate::offsets::Basis;

use super::archive::Archive;
use super::{Draft, Failure, Reason, Source};

mod extras;
mod grid;

use grid::Grid;

/// Filled cells of one sheet are read up to this many; the rest is cut with a warning.
const MAX_CELLS: usize = 4_000_000;

/// Sheets in workbook order, each under a heading with its name. Source positions are rows of the sheet, from 0.
pub(super) fn read(source: &Source<'_>, format: Format) -> Result<Draft, Failure> {
    if format != Format::Xls {
        Archive::open(source.bytes, source.limits)?.check_declared()?;
    }
    let mut book = open_workbook_auto_from_rs(Cursor::new(source.bytes)).map_err(|e| failure(&e))?;
    let mut draft = Draft::new(Basis::PartUnits);
    let mut extras = match format {
        Format::Xlsx => extras::of_workbook(source, &mut draft),
        _ => BTreeMap::new(),
    };
    let names = book.sheet_names();
    if names.len() as u64 > u64::from(source.limits.max_pages) {
        return Err(Failure::too_large(format!(
            "{} sheets, the limit is {} (max_pages)",
            names.len(),
            source.limits.max_pages
        )));
    }
    for (index, name) in names.iter().enumerate() {
        let start = draft.body.text.len();
        let mut grid = match cells(&mut book, name) {
            Ok(grid) => grid,
            Err(error) => {
                draft.warnings.push(format!("sheet {} could not be read: {error}", index + 1));
                Grid::default()
            }
        };
        if grid.cut {
            draft.warnings.push(format!(
                "sheet {} has more than {MAX_CELLS} filled cells; the rest was left out",
                index + 1
            ));
        }
        let extra = extras.remove(name).unwrap_or_default();
        if grid.is_empty() && extra.is_empty() {
            continue;
        }
        let part = draft.body.map.part(name);
        draft.body.block();
        draft.body.glue(&format!("## {}\n", name.trim()));
        grid.write(&mut draft.body, part);
        for text in extra {
            draft.body.block();
            draft.body.push(&text, part, 0, 0);
            draft.body.glue("\n");
        }
        draft.page(index as u32 + 1, start);
        if draft.body.text.len() > source.limits.max_output_bytes {
            return Err(Failure::too_large(format!(
                "the text of the workbook is above {} bytes (max_output_bytes)",
                source.limits.max_output_bytes
            )));
        }
    }
    if draft.pages.is_empty() {
        return Err(Failure::new(Reason::Empty, "the workbook has no filled cells"));
    }
    Ok(draft)
}

fn failure(error: &Error) -> Failure {
    let text = error.to_string();
    if text.contains("password") {
        Failure::new(Reason::Encrypted, "the workbook needs a password")
    } else {
        Failure::corrupt(format!("the workbook cannot be opened: {text}"))
    }
}

/// Filled cells of a sheet. XLSX is streamed, so that one cell far away does not ask for a table of billions.
fn cells(book: &mut Sheets<Cursor<&[u8]>>, name: &str) -> Result<Grid, Error> {
    let mut grid = Grid::default();
    if let Sheets::Xlsx(xlsx) = book {
        let merged: Vec<Dimensions> = xlsx.merge_cells_by_sheet_name(name).unwrap_or_default();
        let Ok(mut reader) = xlsx.worksheet_cells_reader(name) else { return Ok(grid) };
        while let Some(cell) = reader.next_cell()? {
            let text = match cell.get_value() {
                DataRef::SharedString(text) => (*text).to_owned(),
                other => shown(&Data::from(other.clone())),
            };
            if !grid.put(cell.get_position(), text, MAX_CELLS) {
                break;
            }
        }
        for region in merged.iter().take(100_000) {
            grid.spread(region.start, region.end);
        }
        return Ok(grid);
    }
    let range = match book.worksheet_range(name) {
        Ok(range) => range,
        // Charts and macro sheets have no cells.
        Err(Error::Xls(calamine::XlsError::WorksheetNotFound(_))) => return Ok(grid),
        Err(error) => return Err(error),
    };
    let (top, left) = range.start().unwrap_or_default();
    for (row, column, value) in range.used_cells() {
        if !grid.put((top + row as u32, left + column as u32), shown(value), MAX_CELLS) {
            break;
        }
    }
    Ok(grid)
}

/// A value as a reader would see it in a plain cell.
fn shown(value: &Data) -> String {
    match value {
        Data::Empty => String::new(),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => float(*number),
        Data::Bool(true) => "TRUE".to_owned(),
        Data::Bool(false) => "FALSE".to_owned(),
        Data::DateTime(date) => moment(date),
        Data::Error(error) => error.to_string(),
    }
}

/// Up to 15 significant digits, as spreadsheets show them; binary noise behind that is cut.
fn float(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return format!("{number:.0}");
    }
    let digits = 14_i32.saturating_sub(number.abs().log10().floor() as i32).clamp(0, 17) as usize;
    let text = format!("{number:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn moment(date: &ExcelDateTime) -> String {
    if date.is_duration() {
        let seconds = (date.as_f64() * 86_400.0).round() as i64;
        return format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let (year, month, day, hour, minute, second, _) = date.to_ymd_hms_milli();
    match (date.as_f64() < 1.0, hour, minute, second) {
        (true, ..) => format!("{hour:02}:{minute:02}:{second:02}"),
        (_, 0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
    }
}
