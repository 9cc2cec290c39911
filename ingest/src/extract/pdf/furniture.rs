//! Removes running headers, footers and page numbers: lines that stand at the same place on many pages, or count them.

use std::collections::HashMap;

use super::lines::Line;

/// Lines at each edge of a page that may be furniture.
const EDGE: usize = 3;

/// Drops edge lines whose text (numbers aside) and height recur on at least three pages and a fifth of all, and outermost
/// lines that are nothing but a number which grows by one from page to page on as many.
pub(super) fn remove(pages: &mut [Vec<Line>]) {
    let filled = pages.iter().filter(|p| !p.is_empty()).count();
    if filled < 3 {
        return;
    }
    let needed = 3.max(filled / 5);
    remove_numbers(pages, needed);
    let mut seen: HashMap<(String, i32), usize> = HashMap::new();
    for lines in pages.iter() {
        let mut keys: Vec<_> = edges(lines).into_iter().filter_map(|i| lines.get(i)).map(key).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            *seen.entry(key).or_default() += 1;
        }
    }
    // A line may fall on either side of a rounding step.
    let recurs = |line: &Line| {
        let (text, place) = key(line);
        let count: usize = (-1..=1).filter_map(|d| seen.get(&(text.clone(), place + d))).sum();
        count >= needed
    };
    for lines in pages.iter_mut() {
        let drop: Vec<usize> =
            edges(lines).into_iter().filter(|&i| lines.get(i).is_some_and(recurs)).collect();
        let mut index = 0;
        lines.retain(|_| {
            index += 1;
            !drop.contains(&(index - 1))
        });
    }
}

/// Page numbers that stand wherever the text of a page happens to end.
fn remove_numbers(pages: &mut [Vec<Line>], needed: usize) {
    let mut ahead: HashMap<i64, usize> = HashMap::new();
    let numbers: Vec<Vec<(usize, i64)>> = pages
        .iter()
        .zip(0_i64..)
        .map(|(lines, page)| {
            let order = by_height(lines);
            let mut outermost = vec![order.first(), order.last()];
            outermost.dedup();
            let number = |&i: &usize| lines.get(i).and_then(page_number).map(|number| (i, number - page));
            outermost.into_iter().flatten().filter_map(number).collect()
        })
        .collect();
    for found in &numbers {
        let mut offsets: Vec<i64> = found.iter().map(|(_, offset)| *offset).collect();
        offsets.dedup();
        offsets.into_iter().for_each(|offset| *ahead.entry(offset).or_default() += 1);
    }
    for (lines, found) in pages.iter_mut().zip(numbers) {
        let counts = |(_, offset): &&(usize, i64)| ahead.get(offset).is_some_and(|&times| times >= needed);
        let mut drop: Vec<usize> = found.iter().filter(counts).map(|(index, _)| *index).collect();
        drop.sort_unstable();
        for index in drop.into_iter().rev() {
            lines.remove(index);
        }
    }
}

/// The number that a line consists of, dashes around it aside.
fn page_number(line: &Line) -> Option<i64> {
    let text = line.text();
    let digits = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '–' | '—'));
    let number = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    number.then(|| digits.parse().ok()).flatten()
}

/// Indices of lines from the top of the page down.
fn by_height(lines: &[Line]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by(|&a, &b| {
        let top = |i: usize| lines.get(i).map_or(0.0, |l| l.top);
        top(b).total_cmp(&top(a)).then(a.cmp(&b))
    });
    order
}

/// Indices of the topmost and bottommost lines.
fn edges(lines: &[Line]) -> Vec<usize> {
    let order = by_height(lines);
    let mut found: Vec<usize> =
        order.iter().take(EDGE).chain(order.iter().rev().take(EDGE)).copied().collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn key(line: &Line) -> (String, i32) {
    let mut text = String::new();
    for c in line.text().chars() {
        if c.is_ascii_digit() {
            if !text.ends_with('#') {
                text.push('#');
            }
        } else if !c.is_whitespace() {
            text.extend(c.to_lowercase());
        }
    }
    (text, (line.bottom / 6.0) as i32)
}

#[cfg(test)]
mod tests {
    use super::super::lines::Cell;
    use super::*;

    fn line(text: &str, bottom: f32) -> Line {
        let cell = Cell { text: text.to_owned(), left: 0.0, right: 9.0, from: 0, to: 1 };
        let (bold, mono, divided) = (false, false, false);
        Line {
            cells: vec![cell],
            left: 0.0,
            right: 9.0,
            bottom,
            top: bottom + 10.0,
            size: 10.0,
            bold,
            mono,
            divided,
        }
    }

    #[test]
    fn page_numbers_go_wherever_they_stand_and_other_numbers_stay() {
        let page = |number: usize| {
            let total = if number == 4 { "2019".to_owned() } else { "of".repeat(number) };
            let text = format!("Words of their own on page {}", "abcdefgh".repeat(number));
            vec![
                line(&text, 700.0),
                line(&total, 650.0),
                line(&format!("– {} –", number + 36), 600.0 - 31.0 * number as f32),
            ]
        };
        let mut pages: Vec<Vec<Line>> = (1..8).map(page).collect();
        pages.push(vec![line("Last words", 700.0), line("1999", 40.0)]);
        remove(&mut pages);
        let left: Vec<usize> = pages.iter().map(Vec::len).collect();
        assert_eq!(left, [2, 2, 2, 2, 2, 2, 2, 2]);
        assert_eq!(pages[3][1].text(), "2019");
        assert_eq!(pages[7][1].text(), "1999");
    }
}
