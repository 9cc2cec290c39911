//! Counts Word's numbered lists and headings and writes the number a reader would see.

use std::collections::HashMap;

use super::super::xmltree::{Id, ROOT, Tree};

#[derive(Debug, Clone)]
struct Level {
    format: String,
    /// Pattern like `%1.%2.`.
    text: String,
    start: u64,
}

/// Definitions of `word/numbering.xml` and the counters of the walk.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    /// List id → abstract list and start values overridden per level.
    lists: HashMap<String, (String, HashMap<usize, u64>)>,
    levels: HashMap<String, HashMap<usize, Level>>,
    counters: HashMap<String, Vec<u64>>,
    /// Lists whose start override has been applied.
    started: Vec<(String, usize)>,
}

/// What stands before a list paragraph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Marker {
    Bullet,
    /// The number as shown, e.g. `2.1`, without trailing dot or bracket.
    Number(String),
    None,
}

impl Numbering {
    pub(super) fn read(tree: Option<&Tree>) -> Self {
        let Some(tree) = tree else { return Self::default() };
        let mut numbering = Self::default();
        for list in tree.all(ROOT, "abstractNum") {
            let Some(id) = tree.attribute(list, "abstractNumId") else { continue };
            let levels = tree
                .children(list)
                .iter()
                .filter(|&&c| tree.name(c) == "lvl")
                .filter_map(|&l| level(tree, l))
                .collect();
            numbering.levels.insert(id.to_owned(), levels);
        }
        for list in tree.all(ROOT, "num") {
            let Some(id) = tree.attribute(list, "numId") else { continue };
            let Some(base) = tree.child(list, "abstractNumId").and_then(|a| tree.attribute(a, "val")) else {
                continue;
            };
            let starts =
                tree.children(list).iter().filter(|&&c| tree.name(c) == "lvlOverride").filter_map(|&o| {
                    let at = tree.attribute(o, "ilvl")?.parse().ok()?;
                    let start = tree
                        .child(o, "startOverride")
                        .and_then(|s| tree.attribute(s, "val"))?
                        .parse()
                        .ok()?;
                    Some((at, start))
                });
            numbering.lists.insert(id.to_owned(), (base.to_owned(), starts.collect()));
        }
        numbering
    }

    /// Advances the counter of a list level and gives its marker. Unknown lists have bullets.
    pub(super) fn next(&mut self, list: &str, level: usize) -> Marker {
        let level = level.min(8);
        let Some((base, starts)) = self.lists.get(list) else { return Marker::Bullet };
        let Some(levels) = self.levels.get(base) else { return Marker::Bullet };
        let counters = self.counters.entry(base.clone()).or_default();
        let start_of = |at: usize| levels.get(&at).map_or(1, |l| l.start);
        while counters.len() <= level {
            let at = counters.len();
            counters.push(start_of(at).saturating_sub(1));
        }
        let key = (list.to_owned(), level);
        if let Some(&start) = starts.get(&level)
            && !self.started.contains(&key)
        {
            self.started.push(key);
            if let Some(counter) = counters.get_mut(level) {
                *counter = start.saturating_sub(1);
            }
        }
        counters.truncate(level + 1);
        if let Some(counter) = counters.get_mut(level) {
            *counter = counter.saturating_add(1);
        }
        let Some(shape) = levels.get(&level) else { return Marker::Bullet };
        match shape.format.as_str() {
            "bullet" => return Marker::Bullet,
            "none" => return Marker::None,
            _ => {}
        }
        let mut shown = shape.text.clone();
        for at in 0..=level {
            let format = levels.get(&at).map_or("decimal", |l| l.format.as_str());
            let value = counters.get(at).copied().unwrap_or(1).max(1);
            shown = shown.replace(&format!("%{}", at + 1), &number(value, format));
        }
        let shown = shown.trim().trim_end_matches(['.', ')']).trim_start_matches('(').to_owned();
        if shown.is_empty() { Marker::None } else { Marker::Number(shown) }
    }
}

fn level(tree: &Tree, node: Id) -> Option<(usize, Level)> {
    let at = tree.attribute(node, "ilvl")?.parse().ok()?;
    let value = |name| tree.child(node, name).and_then(|n| tree.attribute(n, "val"));
    Some((
        at,
        Level {
            format: value("numFmt").unwrap_or("decimal").to_owned(),
            text: value("lvlText").unwrap_or("%1.").to_owned(),
            start: value("start").and_then(|s| s.parse().ok()).unwrap_or(1),
        },
    ))
}

fn number(value: u64, format: &str) -> String {
    match format {
        "lowerLetter" => letters(value, b'a'),
        "upperLetter" => letters(value, b'A'),
        "lowerRoman" => roman(value).to_lowercase(),
        "upperRoman" => roman(value),
        "decimalZero" if value < 10 => format!("0{value}"),
        _ => value.to_string(),
    }
}

/// a … z, then aa, bb … as Word does.
fn letters(value: u64, first: u8) -> String {
    let index = value.saturating_sub(1);
    let letter = char::from(first + (index % 26) as u8);
    std::iter::repeat_n(letter, (index / 26).min(20) as usize + 1).collect()
}

fn roman(value: u64) -> String {
    if value == 0 || value >= 4000 {
        return value.to_string();
    }
    let table = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut rest = value;
    let mut out = String::new();
    for (weight, sign) in table {
        while rest >= weight {
            out.push_str(sign);
            rest -= weight;
        }
    }
    out
}
