//! Names the language of a text, or none where the text does not tell.

use whatlang::{Lang, Script, detect};

/// Letters below which a text in an alphabet that many languages share is not judged.
const MIN_LETTERS: usize = 24;
/// whatlang's confidence (0 to 1, the lead of the best language over the second) below which there is no answer.
const MIN_CONFIDENCE: f64 = 0.5;
/// Bytes that are looked at: more changes nothing and costs time.
const SAMPLE_BYTES: usize = 4096;

/// The ISO 639-1 code of the language most of `text` (its first 4 KiB) is in. `None` for short or mixed text and for
/// text without letters; a script of one language (Hangul, Thai, kana, …) needs no minimum length.
pub fn language(text: &str) -> Option<&'static str> {
    let sample = &text[..text.floor_char_boundary(SAMPLE_BYTES)];
    let info = detect(sample)?;
    let shared =
        matches!(info.script(), Script::Latin | Script::Cyrillic | Script::Arabic | Script::Devanagari);
    let letters = sample.chars().filter(|c| c.is_alphabetic()).take(MIN_LETTERS).count();
    if shared && (letters < MIN_LETTERS || info.confidence() < MIN_CONFIDENCE) {
        return None;
    }
    Some(code(info.lang()))
}

/// ISO 639-1 has a code for every language whatlang knows.
fn code(lang: Lang) -> &'static str {
    match lang {
        Lang::Epo => "eo",
        Lang::Eng => "en",
        Lang::Rus => "ru",
        Lang::Cmn => "zh",
        Lang::Spa => "es",
        Lang::Por => "pt",
        Lang::Ita => "it",
        Lang::Ben => "bn",
        Lang::Fra => "fr",
        Lang::Deu => "de",
        Lang::Ukr => "uk",
        Lang::Kat => "ka",
        Lang::Ara => "ar",
        Lang::Hin => "hi",
        Lang::Jpn => "ja",
        Lang::Heb => "he",
        Lang::Yid => "yi",
        Lang::Pol => "pl",
        Lang::Amh => "am",
        Lang::Jav => "jv",
        Lang::Kor => "ko",
        Lang::Nob => "no",
        Lang::Dan => "da",
        Lang::Swe => "sv",
        Lang::Fin => "fi",
        Lang::Tur => "tr",
        Lang::Nld => "nl",
        Lang::Hun => "hu",
        Lang::Ces => "cs",
        Lang::Ell => "el",
        Lang::Bul => "bg",
        Lang::Bel => "be",
        Lang::Mar => "mr",
        Lang::Kan => "kn",
        Lang::Ron => "ro",
        Lang::Slv => "sl",
        Lang::Hrv => "hr",
        Lang::Srp => "sr",
        Lang::Mkd => "mk",
        Lang::Lit => "lt",
        Lang::Lav => "lv",
        Lang::Est => "et",
        Lang::Tam => "ta",
        Lang::Vie => "vi",
        Lang::Urd => "ur",
        Lang::Tha => "th",
        Lang::Guj => "gu",
        Lang::Uzb => "uz",
        Lang::Pan => "pa",
        Lang::Aze => "az",
        Lang::Ind => "id",
        Lang::Tel => "te",
        Lang::Pes => "fa",
        Lang::Mal => "ml",
        Lang::Ori => "or",
        Lang::Mya => "my",
        Lang::Nep => "ne",
        Lang::Sin => "si",
        Lang::Khm => "km",
        Lang::Tuk => "tk",
        Lang::Aka => "ak",
        Lang::Zul => "zu",
        Lang::Sna => "sn",
        Lang::Afr => "af",
        Lang::Lat => "la",
        Lang::Slk => "sk",
        Lang::Cat => "ca",
        Lang::Tgl => "tl",
        Lang::Hye => "hy",
        Lang::Cym => "cy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_recognised() {
        for (expected, text) in [
            ("en", "The quarterly report shows that revenue grew faster than the costs did."),
            ("de", "Der Quartalsbericht zeigt, dass der Umsatz schneller als die Kosten gestiegen ist."),
            ("fr", "Le rapport trimestriel montre que les revenus ont augmenté plus vite que les coûts."),
            ("ru", "Квартальный отчёт показывает, что выручка росла быстрее, чем расходы компании."),
            ("ja", "これは日本語です。"),
            ("ko", "휴가는 며칠입니까"),
            ("zh", "季度报告显示收入增长快于成本。"),
        ] {
            assert_eq!(language(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_does_not_tell_has_no_language() {
        for text in ["", "   ", "OK", "12 345,67", "ERR_4711", "x = y + 1"] {
            assert_eq!(language(text), None, "{text}");
        }
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(language(&"é est très bien là où vous êtes ".repeat(500)), Some("fr"));
    }
}
