//! Turns text into index terms: the one place that splits words and identifiers, for indexing and for querying.
//!
//! Text is brought to NFKC (so that ligatures and full-width letters of PDFs meet their plain forms), cut into words by
//! UAX #29 and into character pairs where a script has no spaces, lower-cased and stemmed by the Snowball algorithm of its
//! language. Accents and combining marks stay: folding them costs Vietnamese and Hindi more than it gives anybody. Stop
//! words are the 33 of Lucene for English and Snowball's for others.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use frostem::{Algorithm, Stemmer};
use tantivy::tokenizer::{Language, RawTokenizer, StopWordFilter, TokenFilter, TokenStream, Tokenizer};

pub(super) mod exact;
mod pieces;
mod spelling;
mod verbatim;

use pieces::Piece;
use spelling::{arabic_stem, hindi_letter, normalize};

/// Longer terms are cut: hashes and encoded bytes say nothing beyond this.
const MAX_TERM_BYTES: usize = 128;

/// Shorter words have too many neighbours to guess among.
const MIN_FUZZY_LETTERS: usize = 4;

/// A query with more terms than this is cut: each costs a posting list.
const MAX_QUERY_TERMS: usize = 256;

type StopWords = <StopWordFilter as TokenFilter>::Tokenizer<RawTokenizer>;

/// What is done to the words of one language.
struct Row {
    name: &'static str,
    algorithm: Option<Algorithm>,
    stop_words: Option<Language>,
    /// `l'homme` is two words.
    elision: bool,
}

const fn row(name: &'static str, algorithm: Algorithm, stop_words: Option<Language>) -> Row {
    Row { name, algorithm: Some(algorithm), stop_words, elision: false }
}

/// `plain` stands last: languages without a stemmer.
static ROWS: [Row; 20] = [
    row("en", Algorithm::English, Some(Language::English)),
    row("ar", Algorithm::Arabic, None),
    row("da", Algorithm::Danish, Some(Language::Danish)),
    row("de", Algorithm::German, Some(Language::German)),
    row("el", Algorithm::Greek, None),
    row("es", Algorithm::Spanish, Some(Language::Spanish)),
    row("fi", Algorithm::Finnish, Some(Language::Finnish)),
    Row { elision: true, ..row("fr", Algorithm::French, Some(Language::French)) },
    Row { name: "hi", algorithm: None, stop_words: None, elision: false },
    row("hu", Algorithm::Hungarian, Some(Language::Hungarian)),
    Row { elision: true, ..row("it", Algorithm::Italian, Some(Language::Italian)) },
    row("nl", Algorithm::Dutch, Some(Language::Dutch)),
    row("no", Algorithm::Norwegian, Some(Language::Norwegian)),
    row("pt", Algorithm::Portuguese, Some(Language::Portuguese)),
    row("ro", Algorithm::Romanian, None),
    row("ru", Algorithm::Russian, Some(Language::Russian)),
    row("sv", Algorithm::Swedish, Some(Language::Swedish)),
    row("ta", Algorithm::Tamil, None),
    row("tr", Algorithm::Turkish, None),
    Row { name: "plain", algorithm: None, stop_words: None, elision: false },
];

static STOP_WORDS: [OnceLock<Option<StopWords>>; ROWS.len()] = [const { OnceLock::new() }; ROWS.len()];

/// How the words of a text are treated: chosen by its language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Analysis(usize);

/// One word of a query, in every form that the index may hold it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryTerm {
    /// The forms, sorted, at least one: a document matches the word once, by the best of them.
    pub variants: Vec<String>,
    /// How often the query says it.
    pub times: u32,
    /// The word as it was typed, lower-cased, if it is one that may be misspelt or unfinished: at least four letters, not
    /// part of a name, not a name in capitals. `None` for everything else.
    pub surface: Option<String>,
}

impl Analysis {
    /// By ISO 639-1 code. Unknown text is taken as English: over eleven languages of XQuAD the English stemmer is never
    /// worse than none by more than noise. A known language without a stemmer is not stemmed.
    pub fn of(language: Option<&str>) -> Self {
        let name = match language {
            None => "en",
            Some("nb" | "nn") => "no",
            Some(code) => code,
        };
        Self(ROWS.iter().position(|row| row.name == name).unwrap_or(ROWS.len() - 1))
    }

    /// `en`, `de`, … or `plain`; [`Analysis::of`] understands it.
    pub fn name(self) -> &'static str {
        ROWS[self.0].name
    }

    /// The index terms of a text, in order, repeated as often as the text repeats them.
    pub fn terms(self, text: &str) -> Vec<String> {
        let mut words = Words::new(self);
        let mut terms = Vec::new();
        pieces::split(&normalize(text), &mut |piece| words.push_terms(&piece, &mut terms));
        terms
    }
}

/// What stands in a text letter by letter, with its place: see [`exact::Exact`] for what counts. Places are from 0, in order,
/// and several terms may share one.
pub(super) fn verbatim_terms(text: &str) -> Vec<(usize, String)> {
    verbatim::terms(&normalize(text))
}

/// The words of a query in the forms of every language that the index holds, so that a query finds documents of each
/// without being told its language. `present` are the analyses that indexed documents went through, the most frequent
/// first; nothing present asks for English.
///
/// A stop word of the query's own language is dropped; that language is the one recognised, if the index holds it, else
/// the index's most frequent.
pub fn query_terms(text: &str, present: &[Analysis]) -> Vec<QueryTerm> {
    let text = normalize(text);
    let fallback = [Analysis::of(None)];
    let present = if present.is_empty() { &fallback[..] } else { present };
    let own = recognise(&text).filter(|own| present.contains(own)).unwrap_or(present[0]);
    let mut own_words = Words::new(own);
    let mut words: Vec<Words> = present.iter().map(|&analysis| Words::new(analysis)).collect();
    let mut terms: Vec<QueryTerm> = Vec::new();
    let mut found = Vec::new();
    pieces::split(&text, &mut |piece| {
        if own_words.drops(&piece) || terms.len() >= MAX_QUERY_TERMS {
            return;
        }
        let mut variants = BTreeSet::new();
        for language in &mut words {
            found.clear();
            language.push_terms(&piece, &mut found);
            variants.extend(found.drain(..));
        }
        let variants: Vec<String> = variants.into_iter().collect();
        if variants.is_empty() {
            return;
        }
        match terms.iter_mut().find(|term| term.variants == variants) {
            Some(term) => term.times += 1,
            None => terms.push(QueryTerm { variants, times: 1, surface: surface(&piece) }),
        }
    });
    terms
}

/// The forms that a word of a text takes in each of `present`.
pub(super) fn forms(word: &str, present: &[Analysis]) -> Vec<String> {
    let mut forms = Vec::new();
    for &analysis in present {
        Words::new(analysis).push_terms(&Piece::Word(word), &mut forms);
    }
    forms.sort();
    forms.dedup();
    forms
}

/// The words of a text that are candidates for [`QueryTerm::surface`] replaced by what `correct` says, the rest left as it
/// is, normalised; `None` if nothing was.
pub(super) fn correct(text: &str, correct: impl Fn(&str) -> Option<String>) -> Option<String> {
    let text = normalize(text);
    let mut corrected = String::with_capacity(text.len());
    let mut copied = 0;
    for token in verbatim::tokens(&text) {
        let Some(better) = surface(&Piece::Word(token.text)).and_then(|word| correct(&word)) else {
            continue;
        };
        corrected.push_str(&text[copied..token.start]);
        // A word that began a sentence goes on doing so.
        let mut letters = better.chars();
        match letters.next() {
            Some(first) if token.text.starts_with(char::is_uppercase) => {
                corrected.extend(first.to_uppercase());
                corrected.push_str(letters.as_str());
            }
            _ => corrected.push_str(&better),
        }
        copied = token.start + token.text.len();
    }
    (copied > 0).then(|| corrected + &text[copied..])
}

/// See [`QueryTerm::surface`].
fn surface(piece: &Piece<'_>) -> Option<String> {
    let Piece::Word(word) = piece else { return None };
    // An elided article is no part of the word.
    let word = word.rsplit('\'').find(|part| part.chars().count() > 1).unwrap_or(word);
    let name = !word.chars().any(char::is_lowercase) && word.chars().any(char::is_uppercase);
    let plain = word.chars().all(|c| c.is_alphabetic() && !pieces::has_no_spaces(c));
    let camel = pieces::camel_parts(word).len() > 1;
    (plain && !name && !camel && word.chars().count() >= MIN_FUZZY_LETTERS).then(|| word.to_lowercase())
}

/// The language of a query, where it is long enough to tell.
fn recognise(text: &str) -> Option<Analysis> {
    let info = whatlang::detect(text).filter(whatlang::Info::is_reliable)?;
    let code = match info.lang() {
        whatlang::Lang::Eng => "en",
        whatlang::Lang::Ara => "ar",
        whatlang::Lang::Dan => "da",
        whatlang::Lang::Deu => "de",
        whatlang::Lang::Ell => "el",
        whatlang::Lang::Spa => "es",
        whatlang::Lang::Fin => "fi",
        whatlang::Lang::Fra => "fr",
        whatlang::Lang::Hin => "hi",
        whatlang::Lang::Hun => "hu",
        whatlang::Lang::Ita => "it",
        whatlang::Lang::Nld => "nl",
        whatlang::Lang::Nob => "no",
        whatlang::Lang::Por => "pt",
        whatlang::Lang::Ron => "ro",
        whatlang::Lang::Rus => "ru",
        whatlang::Lang::Swe => "sv",
        whatlang::Lang::Tam => "ta",
        whatlang::Lang::Tur => "tr",
        _ => "plain",
    };
    Some(Analysis::of(Some(code)))
}

/// One language's treatment of words, with the buffers it needs.
struct Words {
    row: &'static Row,
    stemmer: Option<Stemmer>,
    stop_words: Option<StopWords>,
}

impl Words {
    fn new(analysis: Analysis) -> Self {
        let row = &ROWS[analysis.0];
        let stop_words = STOP_WORDS[analysis.0].get_or_init(|| {
            row.stop_words
                .and_then(StopWordFilter::new)
                .map(|filter| filter.transform(RawTokenizer::default()))
        });
        Self { row, stemmer: row.algorithm.map(Stemmer::new), stop_words: stop_words.clone() }
    }

    fn is_stop_word(&mut self, lower: &str) -> bool {
        self.stop_words.as_mut().is_some_and(|filter| !filter.token_stream(lower).advance())
    }

    /// Whether the piece is a stop word and nothing else.
    fn drops(&mut self, piece: &Piece<'_>) -> bool {
        match piece {
            Piece::Word(word) | Piece::Part(word) => {
                let lower = self.lower(word);
                self.is_stop_word(&lower)
            }
            Piece::Verbatim(_) => false,
        }
    }

    fn lower(&self, word: &str) -> String {
        match self.row.name {
            // Turkish has two letters i; Unicode's default mapping would mix them.
            "tr" => word.replace('I', "ı").replace('İ', "i").to_lowercase(),
            // Alef maqsura and yeh end the same words, by region; the stemmer cuts one of them.
            "ar" => word.to_lowercase().replace('ى', "ي"),
            "hi" => word.to_lowercase().chars().filter_map(hindi_letter).collect(),
            _ => word.to_lowercase(),
        }
    }

    fn push_terms(&mut self, piece: &Piece<'_>, terms: &mut Vec<String>) {
        match piece {
            Piece::Verbatim(text) => terms.push(cut(text.to_lowercase())),
            Piece::Word(word) | Piece::Part(word) => {
                let lower = self.lower(word);
                if self.row.elision && lower.contains('\'') {
                    lower
                        .split('\'')
                        .filter(|part| !part.is_empty())
                        .for_each(|part| self.push_word(part, terms));
                } else {
                    self.push_word(&lower, terms);
                }
            }
        }
    }

    fn push_word(&mut self, lower: &str, terms: &mut Vec<String>) {
        if self.is_stop_word(lower) {
            return;
        }
        // Digits and connectors make it a name of something; names have no endings to cut.
        let is_name = lower.bytes().any(|b| b.is_ascii_digit() || b == b'_' || b == b'.');
        let term = match &self.stemmer {
            Some(stemmer) if !is_name && lower.len() <= MAX_TERM_BYTES => {
                let stem = stemmer.stem(lower);
                // Only now: the stemmer tells some endings by the letters that writers mix.
                if self.row.name == "ar" { arabic_stem(&stem) } else { stem.into_owned() }
            }
            _ => lower.to_owned(),
        };
        terms.push(cut(term));
    }
}

fn cut(mut term: String) -> String {
    if term.len() > MAX_TERM_BYTES {
        term.truncate(term.floor_char_boundary(MAX_TERM_BYTES));
    }
    term
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(language: &str, text: &str) -> Vec<String> {
        Analysis::of(Some(language)).terms(text)
    }

    #[test]
    fn english_is_stemmed_and_loses_stop_words() {
        assert_eq!(
            terms("en", "The engineers' reports are on running systems."),
            ["engin", "report", "run", "system"]
        );
        assert_eq!(Analysis::of(None).terms("Reports"), ["report"]);
    }

    #[test]
    fn each_language_has_its_own_stemmer_and_unknown_ones_have_none() {
        assert_eq!(terms("de", "Die Häuser der Lehrerinnen"), ["haus", "lehr"]);
        assert_eq!(terms("fr", "l'homme qu’il aime"), ["homm", "aim"]);
        assert_eq!(terms("vi", "Các ngôi nhà"), ["các", "ngôi", "nhà"]);
        assert_eq!(terms("tr", "IRMAK"), ["ırmak"]);
    }

    #[test]
    fn spellings_of_one_word_meet() {
        for (language, spellings) in [
            ("de", &["Kündigung", "Kuendigung", "kündigungen"][..]),
            ("de", &["Straße", "Strasse", "STRASSE", "Straßen"]),
            ("ar", &["المدرسة", "المدرسه", "المَدْرَسَة", "المـــدرسة"]),
            ("ar", &["الإسلام", "الاسلام", "الأسلام"]),
            ("ar", &["مستشفى", "مستشفي"]),
            ("hi", &["बड़ा", "बडा"]),
            ("hi", &["गाँव", "गांव"]),
            ("el", &["έρευνα", "ΈΡΕΥΝΑ", "έρευνας"]),
            ("tr", &["İstanbul", "istanbul"]),
        ] {
            let first = terms(language, spellings[0]);
            assert_eq!(first.len(), 1);
            for other in spellings {
                assert_eq!(terms(language, other), first, "{language}: {other}");
            }
        }
    }

    #[test]
    fn combining_marks_stay_in_their_word() {
        assert_eq!(terms("hi", "हिन्दी भाषा"), ["हिन्दी", "भाषा"]);
    }

    #[test]
    fn scripts_without_spaces_become_pairs() {
        assert_eq!(terms("zh", "向量检索"), ["向量", "量检", "检索"]);
        assert_eq!(terms("zh", "2024年 水"), ["2024", "年", "水"]);
        assert_eq!(terms("th", "ไทย"), ["ไท", "ทย"]);
        assert_eq!(terms("ja", "ＡＢＣ社"), ["abc", "社"]);
    }

    #[test]
    fn identifiers_stay_whole_beside_their_parts() {
        assert_eq!(terms("en", "error E-4312, please"), ["error", "e-4312", "e", "4312", "pleas"]);
        assert_eq!(terms("en", "(v2.3.1)"), ["v2.3.1", "v2"]);
        assert_eq!(terms("en", "max_retry_count"), ["max_retry_count", "max", "retri", "count"]);
        assert_eq!(terms("en", "getUserNames()"), ["getusernam", "get", "user", "name"]);
        assert_eq!(terms("en", "C++ and C#."), ["c++", "c#"]);
        assert!(terms("en", "see src/store/sync.rs!").contains(&"src/store/sync.rs".to_owned()));
        assert_eq!(terms("en", "well-known and/or U.S. long-term"), ["well", "known", "u.s", "long", "term"]);
    }

    #[test]
    fn ligatures_meet_plain_letters() {
        assert_eq!(terms("en", "e\u{fb03}cient"), terms("en", "efficient"));
    }

    #[test]
    fn a_query_has_one_form_per_language_and_no_stop_words() {
        let (en, de) = (Analysis::of(Some("en")), Analysis::of(Some("de")));
        let one = query_terms("the running of engines engines", &[en]);
        assert_eq!(
            one,
            [
                QueryTerm { variants: vec!["run".into()], times: 1, surface: Some("running".into()) },
                QueryTerm { variants: vec!["engin".into()], times: 2, surface: Some("engines".into()) },
            ]
        );
        let both = query_terms("the running", &[en, de]);
        assert_eq!(both[0].variants, ["run", "running"]);
        assert_eq!(both.len(), 1);
        // A German stop word that means something in English stays an English word.
        let die = QueryTerm { variants: vec!["die".into()], times: 1, surface: None };
        assert_eq!(query_terms("die", &[en, de]), [die]);
        assert!(query_terms("the of and", &[en, de]).is_empty());
        assert!(query_terms("", &[]).is_empty());
        assert!(query_terms("?! … \u{0}", &[en]).is_empty());
    }

    #[test]
    fn only_words_of_prose_may_be_misspelt() {
        let surfaces = |text: &str| -> Vec<String> {
            query_terms(text, &[]).into_iter().filter_map(|term| term.surface).collect()
        };
        assert_eq!(surfaces("Refnud of the oder"), ["refnud", "oder"]);
        assert_eq!(
            surfaces("E-4312 NASA 12345 getUserNmae max_rettry docs/configuraton.md cat 年度报告"),
            [""; 0]
        );
        let swap = |word: &str| (word == "refnud").then(|| "refund".to_owned());
        assert_eq!(correct("Refnud of E-12, refnud!", swap).as_deref(), Some("Refund of E-12, refund!"));
        assert_eq!(correct("nothing to do", swap), None);
    }

    #[test]
    fn dashes_and_break_marks_do_not_tell_names_apart() {
        assert_eq!(terms("en", "E\u{2011}4312"), terms("en", "E-4312"));
        assert_eq!(terms("en", "re\u{AD}fund"), ["refund"]);
    }

    #[test]
    fn long_terms_and_queries_are_cut() {
        let long = "ж".repeat(1_000);
        assert!(terms("ru", &long).iter().all(|term| term.len() <= MAX_TERM_BYTES));
        let many: String = (0..2_000).map(|i| format!("w{i} ")).collect();
        assert_eq!(query_terms(&many, &[]).len(), MAX_QUERY_TERMS);
    }
}
