//! Removes running headers, footers and page numbers: lines that stand at the same place on many pages.

use std::collections::HashMap;

use super::lines::Line;

/// Lines at each edge of a page that may be furniture.
const EDGE: usize = 3;

/// Drops edge lines whose text (numbers aside) and height recur on at least three pages and a fifth of all.
pub(super) fn remove(pages: &mut [Vec<Line>]) {
    let filled = pages.iter().filter(|p| !p.is_empty()).count();
    if filled < 3 {
        return;
    }
    let needed = 3.max(filled / 5);
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

/// Indices of the topmost and bottommost lines.
fn edges(lines: &[Line]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by(|&a, &b| {
        let top = |i: usize| lines.get(i).map_or(0.0, |l| l.top);
        top(b).total_cmp(&top(a)).then(a.cmp(&b))
    });
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
