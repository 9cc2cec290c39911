//! The files of the web page as they are compiled in: its own, the vendored PDF.js, and a few sample documents.

/// One file.
#[derive(Debug)]
pub(super) struct File {
    /// Below `/ui/`, as requested.
    pub(super) path: &'static str,
    pub(super) bytes: &'static [u8],
    compressed: bool,
}

macro_rules! own {
    ($($path:literal,)*) => {
        &[$(File { path: $path, bytes: include_bytes!(concat!("../../../ui/", $path)), compressed: false },)*]
    };
}

macro_rules! vendored {
    ($($path:literal,)*) => {
        &[$(File { path: $path, bytes: include_bytes!(concat!("../../../ui/", $path, ".gz")), compressed: true },)*]
    };
}

macro_rules! samples {
    ($($path:literal,)*) => {
        &[$(File {
            path: concat!("samples/", $path),
            bytes: include_bytes!(concat!("../../../../fixtures/corpus/", $path)),
            compressed: false,
        },)*]
    };
}

const OWN: &[File] = own![
    "access.js",
    "admin.js",
    "api.js",
    "app.js",
    "ask.js",
    "bytes.js",
    "claims.js",
    "collections.js",
    "document.js",
    "dom.js",
    "door.js",
    "explain.js",
    "exposition.js",
    "icon.svg",
    "index.html",
    "judge.js",
    "judgements.js",
    "keys.js",
    "library.js",
    "live.js",
    "locate.js",
    "markdown.js",
    "marks.js",
    "original.js",
    "quality.js",
    "recut.js",
    "runs.js",
    "samples.json",
    "search.js",
    "session.js",
    "source.js",
    "sse.js",
    "stored.js",
    "style/base.css",
    "style/library.css",
    "style/quality.css",
    "style/source.css",
    "style/views.css",
    "table.js",
    "talks.js",
    "text.js",
    "thumbs.js",
    "upload.js",
    "welcome.js",
];

const VENDORED: &[File] = vendored![
    "vendor/pdfjs-5.4.624/jbig2.wasm",
    "vendor/pdfjs-5.4.624/openjpeg.wasm",
    "vendor/pdfjs-5.4.624/pdf.min.mjs",
    "vendor/pdfjs-5.4.624/pdf.worker.min.mjs",
    "vendor/pdfjs-5.4.624/qcms_bg.wasm",
];

/// Named in `samples.json`, too: what the first-run page offers.
const SAMPLES: &[File] = samples![
    "handbook/working-hours-and-leave.md",
    "incidents/INC-2026-007-battery-pack.pdf",
    "manuals/faq-messnetz.html",
    "manuals/safety-manual.pdf",
    "minutes/2026-02-11-product-board.docx",
    "policies/travel-policy-2024.md",
    "policies/travel-policy-2026.md",
    "tables/price-list-2026.xlsx",
];

/// Every file.
pub(super) fn all() -> impl Iterator<Item = &'static File> {
    OWN.iter().chain(VENDORED).chain(SAMPLES)
}

impl File {
    /// Whether it is somebody else's code, under a path that names its version.
    pub(super) fn is_vendored(&self) -> bool {
        self.path.starts_with("vendor/")
    }

    /// Whether `bytes` are gzip.
    pub(super) fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// From the name's ending; samples are only ever fetched as bytes.
    pub(super) fn media_type(&self) -> &'static str {
        match self.path.rsplit_once('.').map(|(_, ending)| ending) {
            _ if self.path.starts_with("samples/") => "application/octet-stream",
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js" | "mjs") => "text/javascript; charset=utf-8",
            Some("json") => "application/json",
            Some("svg") => "image/svg+xml",
            Some("wasm") => "application/wasm",
            _ => "application/octet-stream",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn below(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(&path, root, found);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn every_file_of_the_page_is_served_and_no_other() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
        let mut there = BTreeSet::new();
        below(&root, &root, &mut there);
        there.retain(|path| !path.starts_with("vendor/") || path.ends_with(".gz"));
        let served = OWN.iter().map(|file| file.path.to_owned());
        let served: BTreeSet<String> =
            served.chain(VENDORED.iter().map(|file| format!("{}.gz", file.path))).collect();
        assert_eq!(there, served);
    }

    #[test]
    fn the_page_asks_nobody_else_and_holds_no_inline_code() {
        let mut size = 0;
        for file in OWN {
            let text = std::str::from_utf8(file.bytes).unwrap();
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !text.contains("http://") && !text.contains("https://"),
                "{} names another host",
                file.path
            );
            for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(!text.contains(sink), "{} uses {sink}", file.path);
            }
            if file.path.ends_with(".html") {
                assert!(
                    !text.contains("<style") && !text.contains(" style=") && !text.contains(" on"),
                    "{}",
                    file.path
                );
                assert!(
                    text.matches("<script").count() == text.matches("<script type=\"module\" src=").count()
                );
            }
            size += file.bytes.len();
        }
        assert!(size <= 300_000, "{size} bytes come before the first PDF");
    }

    #[test]
    fn the_samples_that_are_offered_are_there() {
        let list = OWN.iter().find(|file| file.path == "samples.json").unwrap();
        let list: serde_json::Value = serde_json::from_slice(list.bytes).unwrap();
        let offered = list["files"].as_array().unwrap().iter();
        let offered: Vec<String> =
            offered.map(|path| format!("samples/{}", path.as_str().unwrap())).collect();
        let there: Vec<&str> = SAMPLES.iter().map(|file| file.path).collect();
        assert_eq!(offered, there);
        assert!(SAMPLES.iter().all(|file| !file.bytes.is_empty()));
    }
}
