//! Groups sections into units of cutting: small ones with their neighbours, the others each by itself.

use std::ops::Range;

use super::count::Words;
use super::emit::Emitter;
use super::semantic::Meaning;
use super::split::{Budget, Splitter};
use super::structure::{Section, Structure};
use super::{Chunk, ChunkConfig, Input};

/// Neighbouring sections that are cut as one.
struct Group {
    sections: Range<usize>,
    tokens: usize,
    /// Headings above all of it.
    path: Vec<usize>,
    /// Whether it holds nothing but headings.
    bare: bool,
}

/// The chunks of a document in mode `structure`. `additive` says that word counts add up.
pub(super) fn chunks(
    config: &ChunkConfig,
    words: &mut Words<'_>,
    additive: bool,
    max: usize,
    input: &Input<'_>,
    meaning: &mut Meaning<'_>,
) -> Vec<Chunk> {
    let code = config.code && !input.outline.is_empty();
    let structure = match code {
        true => Structure::of_outline(input.text, input.outline),
        false => Structure::of(input.text, input.markup),
    };
    let special = words.special();
    let room = max.saturating_sub(special).max(1);
    let text = |section: &Section| input.text.get(section.span.clone()).unwrap_or_default();
    let sizes: Vec<usize> = structure.sections.iter().map(|section| words.size(text(section))).collect();
    let mut emitter = Emitter::new(config, additive, max, input, &structure);
    for group in groups(config, &structure, &sizes, special) {
        let span = span_of(&structure.sections, &group.sections);
        // The longest prefix any chunk of the group may get.
        let sections = structure.sections.get(group.sections.clone()).unwrap_or_default();
        let prefix = sections.iter().map(|s| emitter.prefix(words, &s.path, usize::MAX).1).max().unwrap_or(0);
        let max_body = room.saturating_sub(prefix).max(1);
        let target = config.target_tokens.saturating_sub(special + prefix).clamp(1, max_body);
        let budget = Budget {
            target,
            max: max_body,
            min: config.min_tokens,
            // Half a statement before a function's second part says nothing that its name does not.
            overlap: if code { 0 } else { config.overlap_tokens },
            captions: config.captions,
        };
        // Statements have no meaning that drifts.
        let mut nothing = Meaning::Unknown;
        let mut splitter = Splitter {
            meaning: if code { &mut nothing } else { &mut *meaning },
            text: input.text,
            markup: input.markup,
            structure: &structure,
            words: &mut *words,
        };
        for piece in splitter.split(span, group.tokens, budget) {
            emitter.push(words, piece);
        }
    }
    emitter.finish()
}

/// Joins a section with what follows while one of the two is below the minimum and both fit the target, or while only
/// headings are there: a heading without text belongs to what it introduces, and at the very end to what is before it.
fn groups(config: &ChunkConfig, structure: &Structure, sizes: &[usize], special: usize) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let target = config.target_tokens.saturating_sub(special + config.prefix_tokens / 2).max(1);
    for (number, (section, &tokens)) in structure.sections.iter().zip(sizes).enumerate() {
        if let Some(open) = groups.last_mut() {
            let common = open.path.iter().zip(&section.path).take_while(|(a, b)| a == b).count();
            let related = common + 1 >= open.path.len();
            let small = open.tokens.min(tokens) < config.min_tokens && open.tokens + tokens <= target;
            let last = number + 1 == structure.sections.len();
            if open.bare || (small && related && !section.bare) || (last && section.bare) {
                open.sections.end = number + 1;
                open.tokens += tokens;
                open.path.truncate(common);
                open.bare &= section.bare;
                continue;
            }
        }
        groups.push(Group {
            sections: number..number + 1,
            tokens,
            path: section.path.clone(),
            bare: section.bare,
        });
    }
    groups
}

fn span_of(sections: &[Section], range: &Range<usize>) -> Range<usize> {
    let of = |i: usize| sections.get(i).map(|s| s.span.clone()).unwrap_or_default();
    of(range.start).start..of(range.end.saturating_sub(1)).end
}
