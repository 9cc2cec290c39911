//! Turns bytes of unknown charset into UTF-8 text, or says that they are not text.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::offsets::Basis;

/// Text decoded from bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// The text, without byte order mark.
    pub(crate) text: String,
    /// WHATWG name of the charset the bytes were read as.
    pub(crate) charset: &'static str,
    /// Bytes of the byte order mark that was skipped.
    pub(crate) skipped: usize,
    /// Whether bytes had to be replaced by U+FFFD.
    pub(crate) damaged: bool,
}

impl Decoded {
    /// What offsets into [`Decoded::text`] count: bytes of the file when it was sound UTF-8.
    pub(crate) fn basis(&self) -> Basis {
        if self.charset == "UTF-8" && !self.damaged {
            Basis::Bytes
        } else {
            Basis::Decoded(self.charset.to_owned())
        }
    }

    /// Where the text starts in terms of [`Decoded::basis`].
    pub(crate) fn shift(&self) -> usize {
        if self.basis() == Basis::Bytes { self.skipped } else { 0 }
    }
}

/// How much of a file is looked at to guess its charset or whether it is binary.
const SAMPLE: usize = 256 * 1024;

/// Whether bytes cannot be text: NULs outside UTF-16, or many control characters in the first 256 KiB.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    if Encoding::for_bom(bytes).is_some() || utf16_without_mark(bytes).is_some() {
        return false;
    }
    let sample = bytes.get(..SAMPLE).unwrap_or(bytes);
    let nuls = sample.iter().filter(|&&b| b == 0).count();
    let controls = sample
        .iter()
        .filter(|&&b| b < 0x20 && !matches!(b, b'\n' | b'\r' | b'\t' | 0x0b | 0x0c | 0x08 | 0x1b))
        .count();
    nuls * 1000 > sample.len() || controls * 50 > sample.len()
}

/// Decodes text: byte order mark first, then valid UTF-8, then the declared charset, then a guess from the bytes.
///
/// `declared` is a charset label from a protocol header or the document itself. Never fails: what cannot be decoded
/// becomes U+FFFD and `damaged` is set.
pub(crate) fn decode(bytes: &[u8], declared: Option<&str>) -> Decoded {
    if let Some((encoding, skipped)) = Encoding::for_bom(bytes) {
        return decode_as(encoding, bytes.get(skipped..).unwrap_or_default(), skipped);
    }
    if let Some(encoding) = utf16_without_mark(bytes) {
        return decode_as(encoding, bytes, 0);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            return Decoded { text: text.to_owned(), charset: UTF_8.name(), skipped: 0, damaged: false };
        }
        // A cut or slightly damaged UTF-8 file is still UTF-8: guessing a legacy charset would garble all of it.
        Err(error) if error.valid_up_to() > 0 && mostly_utf8(bytes) => return decode_as(UTF_8, bytes, 0),
        Err(_) => {}
    }
    if let Some(encoding) = declared.and_then(|label| Encoding::for_label(label.trim().as_bytes()))
        && encoding != UTF_8
    {
        let decoded = decode_as(encoding, bytes, 0);
        if !decoded.damaged {
            return decoded;
        }
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes.get(..SAMPLE).unwrap_or(bytes), bytes.len() <= SAMPLE);
    decode_as(detector.guess(None, Utf8Detection::Allow), bytes, 0)
}

fn decode_as(encoding: &'static Encoding, bytes: &[u8], skipped: usize) -> Decoded {
    let (text, damaged) = encoding.decode_without_bom_handling(bytes);
    Decoded { text: text.into_owned(), charset: encoding.name(), skipped, damaged }
}

/// At least one well-formed multi-byte character per ten malformed bytes, and few malformed ones overall.
fn mostly_utf8(bytes: &[u8]) -> bool {
    let sample = bytes.get(..SAMPLE).unwrap_or(bytes);
    let (mut good, mut bad) = (0_usize, 0_usize);
    for chunk in sample.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    good > bad * 10
}

/// UTF-16 without a byte order mark shows as NULs in every other place.
fn utf16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = bytes.get(..1024.min(bytes.len() / 2 * 2)).filter(|s| s.len() >= 8)?;
    let (mut even, mut odd) = (0_usize, 0_usize);
    for pair in sample.chunks_exact(2) {
        if let [a, b] = pair {
            even += usize::from(*a == 0);
            odd += usize::from(*b == 0);
        }
    }
    let pairs = sample.len() / 2;
    if odd * 10 >= pairs * 7 && even * 20 <= pairs {
        Some(UTF_16LE)
    } else if even * 10 >= pairs * 7 && odd * 20 <= pairs {
        Some(UTF_16BE)
    } else {
        None
    }
}
