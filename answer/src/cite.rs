//! Reads `[1]`, `[1, 2]`, `[1][3]` and `[1-3]` out of generated text.

/// A sentence without its markers, and the numbers they held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cited {
    /// The text as it stood, markers and the blanks before them cut out.
    pub(crate) text: String,
    /// In order of appearance, each once.
    pub(crate) numbers: Vec<usize>,
}

/// Largest range one marker may name: `[1-500]` is not a citation.
const WIDEST: usize = 50;

/// Takes the markers out of a sentence. Code between backticks keeps its brackets.
pub(crate) fn split(sentence: &str) -> Cited {
    let mut cited = Cited { text: String::with_capacity(sentence.len()), numbers: Vec::new() };
    let mut rest = sentence;
    let mut code = false;
    while let Some(c) = rest.chars().next() {
        if !code && let Some((numbers, after)) = marker(rest) {
            let kept = cited.text.trim_end_matches(' ').len();
            // The blank before a marker goes with it unless it is all that parts the words around it.
            if !after.starts_with(char::is_alphanumeric) {
                cited.text.truncate(kept);
            }
            for number in numbers {
                if !cited.numbers.contains(&number) {
                    cited.numbers.push(number);
                }
            }
            rest = after;
            continue;
        }
        code ^= c == '`';
        cited.text.push(c);
        rest = &rest[c.len_utf8()..];
    }
    cited
}

/// The numbers of a marker at the very start of `text`, and what follows it.
pub(crate) fn marker(text: &str) -> Option<(Vec<usize>, &str)> {
    let (close, inside) = match text.chars().next()? {
        '[' => (']', &text[1..]),
        '【' => ('】', &text['【'.len_utf8()..]),
        _ => return None,
    };
    let end = inside.find(close)?;
    let mut numbers = Vec::new();
    for part in inside[..end].split([',', ';']) {
        let part = part.trim().trim_start_matches('^');
        match part.split_once(['-', '–']) {
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last || last - first >= WIDEST {
                    return None;
                }
                numbers.extend(first..=last);
            }
            None => numbers.push(number(part)?),
        }
    }
    Some((numbers, &inside[end + close.len_utf8()..]))
}

/// A plain number of at most four digits.
fn number(text: &str) -> Option<usize> {
    let text = text.trim();
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(sentence: &str) -> Vec<usize> {
        split(sentence).numbers
    }

    #[test]
    fn every_usual_form_is_read() {
        assert_eq!(numbers("A [1]."), [1]);
        assert_eq!(numbers("A [1, 2]; B [1][3]."), [1, 2, 3]);
        assert_eq!(numbers("A [2–4] 【7】 [^9]"), [2, 3, 4, 7, 9]);
        assert_eq!(split("A fact [1][2]. ").text, "A fact. ");
        assert_eq!(split("A[1] fact").text, "A fact");
        assert_eq!(split("one [1]two").text, "one two");
    }

    #[test]
    fn what_is_no_citation_stays() {
        for text in
            ["see [x]", "a[i]", "[ ]", "[12345]", "[3-1]", "`list[0]` is first", "[1", "[1-400]", "[]"]
        {
            assert_eq!(split(text), Cited { text: text.to_owned(), numbers: Vec::new() });
        }
    }
}
