//! Builds the prompt: passages as fenced, numbered data within a token budget, and the question.

use std::collections::HashMap;

use wellspring_models::prompt::{as_data, fill, visible};
use wellspring_models::{Message, Role};
use wellspring_retrieve::Passage;

use crate::reply::PromptVersion;

const SYSTEM: &str = include_str!("prompts/system.md");
const USER: &str = include_str!("prompts/user.md");

/// What the model replies when the passages do not answer.
pub(crate) const NO_ANSWER: &str = "NO_ANSWER";

/// The name and hash of the prompt's files.
pub fn version() -> PromptVersion {
    PromptVersion { name: "answer", hash: wellspring_models::prompt::version(&[SYSTEM, USER]) }
}

/// The passages, by their place, that fit the budget (tokens, estimated), best first; of one document at most `share`
/// of it, and at least one passage. The first of all always counts: a question is not refused because its best passage
/// is long.
pub(crate) fn fitting(passages: &[(usize, &Passage)], budget: usize, share: f64) -> Vec<usize> {
    let sizes = passages
        .iter()
        .map(|(_, passage)| (passage.document_id.as_str(), estimate(passage.reading().0) + 40));
    choose(sizes, budget, share).into_iter().map(|at| passages[at].0).collect()
}

fn choose<'a>(sizes: impl Iterator<Item = (&'a str, usize)>, budget: usize, share: f64) -> Vec<usize> {
    let mut used = 0;
    let mut of: HashMap<&str, usize> = HashMap::new();
    let mut chosen = Vec::new();
    for (at, (document, size)) in sizes.enumerate() {
        let own = of.get(document).copied().unwrap_or(0);
        if own > 0 && (own + size) as f64 > share * budget as f64 {
            continue;
        }
        if used + size > budget && !chosen.is_empty() {
            break;
        }
        used += size;
        of.insert(document, own + size);
        chosen.push(at);
    }
    chosen
}

/// Tokens of a text, from above for the common tokenizers: a token is at least three ASCII characters of prose, and any
/// other character may be a token of its own.
pub(crate) fn estimate(text: &str) -> usize {
    let ascii = text.chars().filter(char::is_ascii).count();
    let others = text.chars().count() - ascii;
    ascii.div_ceil(3) + others
}

/// The messages of one generation. `fence` is new and unguessable for every request, so that no document can close it.
/// Each passage goes by its place plus one.
pub(crate) fn build(question: &str, passages: &[(usize, &Passage)], fence: &str) -> Vec<Message> {
    let quoted: Vec<String> =
        passages.iter().map(|(place, passage)| quote(place + 1, passage, fence)).collect();
    let values = [("fence", fence), ("question", question), ("passages", &quoted.join("\n\n"))];
    [(Role::System, SYSTEM), (Role::User, USER)]
        .into_iter()
        .map(|(role, template)| Message { role, content: fill(template, &values).trim_end().to_owned() })
        .collect()
}

/// Passage `n` between its fences.
pub(crate) fn quote(n: usize, passage: &Passage, fence: &str) -> String {
    let mut opening = format!("<passage-{fence} n=\"{n}\"");
    if let Some(title) = &passage.title {
        opening.push_str(&format!(" title=\"{}\"", attribute(title)));
    }
    opening.push_str(&format!(" source=\"{}\"", attribute(&passage.source)));
    if !passage.headings.is_empty() {
        opening.push_str(&format!(" section=\"{}\"", attribute(&passage.headings.join(" / "))));
    }
    format!("{opening}>\n{}\n</passage-{fence}>", as_data(passage.reading().0))
}

/// One line without quotation marks or angle brackets, at most 200 characters.
fn attribute(text: &str) -> String {
    visible(text)
        .chars()
        .take(200)
        .map(|c| match c {
            '"' => '\'',
            '<' | '>' => ' ',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_one_line_without_markup() {
        assert_eq!(attribute("a\"><x\n\u{202e}"), "a'  x ");
    }

    #[test]
    fn one_source_gets_its_share_and_the_first_passage_always_counts() {
        let sizes = [("a", 3_000), ("a", 100), ("a", 100), ("b", 100), ("c", 900), ("c", 1_000)];
        let sizes = || sizes.iter().map(|(source, size)| (*source, *size));
        assert_eq!(choose(sizes(), 1_000, 0.5), [0]);
        assert_eq!(choose(sizes().skip(1), 1_000, 0.25), [0, 1, 2]);
        assert_eq!(choose(sizes().skip(1), 2_000, 0.5), [0, 1, 2, 3]);
        assert_eq!(choose(sizes().skip(1), 1_000, 0.1), [0, 2], "the second of a source is beyond its share");
    }

    #[test]
    fn the_estimate_is_from_above() {
        assert_eq!(estimate(""), 0);
        assert_eq!(estimate("abcdef"), 2);
        assert_eq!(estimate("休暇"), 2);
    }
}
