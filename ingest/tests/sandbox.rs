//! Hostile documents against real child processes: this program is the test and, with an argument, the child.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wellspring_ingest::extract::{Extracted, Failure, Libraries, Limits, Reason, extract};
use wellspring_ingest::sandbox::{Sandbox, SandboxConfig, serve_child, serve_child_with};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("--extract-child") => serve_child(std::io::stdin().lock(), std::io::stdout().lock()).unwrap(),
        Some("--hostile-child") => {
            serve_child_with(std::io::stdin().lock(), std::io::stdout().lock(), hostile).unwrap()
        }
        Some("--wrong-child") => std::process::exit(2),
        Some("--list") => {}
        _ => run(arguments.iter().skip(1).find(|a| !a.starts_with('-')).map(String::as_str)),
    }
}

/// Does what the document says.
fn hostile(
    bytes: &[u8],
    name: Option<&str>,
    declared: Option<&str>,
    limits: &Limits,
    libs: &Libraries,
) -> Result<Extracted, Failure> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    match text.split_whitespace().next() {
        Some("!cpu") => loop {
            std::hint::black_box(text.len());
        },
        Some("!sleep") => std::thread::sleep(Duration::from_secs(600)),
        Some("!memory") => {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(vec![1; 16 << 20]);
            }
        }
        Some("!panic") => panic!("a parser gave up"),
        Some("!abort") => std::process::abort(),
        Some("!stack") => {
            fn deeper(n: u64) -> u64 {
                let frame = std::hint::black_box([n; 512]);
                if n == u64::MAX { 0 } else { deeper(n + 1) + frame[0] }
            }
            std::hint::black_box(deeper(0));
        }
        Some("!file") => {
            let path = std::env::temp_dir().join("wellspring-sandbox-test");
            let written = std::fs::File::create(path).and_then(|mut f| f.write_all(&[0; 100_000]));
            return plain(&format!("written: {}", written.is_ok()));
        }
        Some("!look") => {
            let mut open: Vec<String> = std::fs::read_dir("/proc/self/fd")
                .unwrap()
                .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
                .collect();
            open.sort();
            let environment: Vec<String> = std::env::vars().map(|(k, _)| k).collect();
            return plain(&format!("fds {} env {}", open.join(","), environment.join(",")));
        }
        Some("!family") => {
            let mut family = std::process::Command::new("sleep").arg("471.1").spawn().unwrap();
            family.wait().unwrap();
        }
        Some("!pid") => return plain(&std::process::id().to_string()),
        Some("!garbage") => {
            let mut out = std::fs::OpenOptions::new().write(true).open("/proc/self/fd/1").unwrap();
            out.write_all(&[b'x'; 4096]).unwrap();
        }
        Some("!exit") => std::process::exit(3),
        _ => {}
    }
    extract(bytes, name, declared, limits, libs)
}

fn plain(text: &str) -> Result<Extracted, Failure> {
    extract(text.as_bytes(), Some("a.txt"), None, &Limits::default(), &Libraries::default())
}

fn sandbox(child: &str, change: impl FnOnce(&mut SandboxConfig)) -> Sandbox {
    let mut config = SandboxConfig::new(std::env::current_exe().unwrap());
    config.args = vec![child.into()];
    config.size = 2;
    config.limits.wall_time = Duration::from_secs(20);
    config.limits.cpu_time = Duration::from_secs(10);
    config.limits.max_memory_bytes = 256 << 20;
    change(&mut config);
    Sandbox::new(config)
}

fn libraries() -> Libraries {
    let cache = std::env::var_os("WELLSPRING_CACHE").map(PathBuf::from);
    let cache =
        cache.or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache/wellspring")));
    Libraries { pdfium: cache.map(|c| c.join("lib/libpdfium.so")).filter(|p| p.is_file()) }
}

type Test = (&'static str, fn(&tokio::runtime::Runtime));

const TESTS: [Test; 8] = [
    ("extracts_and_reuses_children", reuse),
    ("survives_hostile_documents", survive),
    ("kills_the_whole_group_on_time_out", time_out),
    ("sees_no_descriptors_and_no_environment", bare),
    ("names_a_command_that_is_no_child", wrong_command),
    ("kills_the_child_of_a_cancelled_call", cancelled),
    ("broken_fixtures_end_with_their_reason", broken_fixtures),
    ("serves_many_at_once", many),
];

fn run(filter: Option<&str>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for (name, test) in TESTS {
        if filter.is_none_or(|f| name.contains(f)) {
            let started = Instant::now();
            test(&runtime);
            println!("test {name} ... ok ({:.1} s)", started.elapsed().as_secs_f64());
        }
    }
}

fn reuse(runtime: &tokio::runtime::Runtime) {
    let sandbox = sandbox("--extract-child", |c| c.size = 1);
    let document = b"# Heron\r\n\r\nA bird that waits.\r\n";
    let extracted = runtime.block_on(sandbox.extract(document, Some("a.md"), None)).unwrap();
    assert_eq!(
        extracted,
        extract(document, Some("a.md"), None, &Limits::default(), &Libraries::default()).unwrap()
    );
    // One child serves one document after the other.
    let hostile = self::sandbox("--hostile-child", |c| c.size = 1);
    let child = || runtime.block_on(hostile.extract(b"!pid", None, None)).unwrap().text;
    assert_eq!(child(), child());
}

fn survive(runtime: &tokio::runtime::Runtime) {
    let sandbox = sandbox("--hostile-child", |c| c.limits.cpu_time = Duration::from_secs(1));
    for (document, reason, words) in [
        ("!cpu", Reason::LimitExceeded, "cpu_time"),
        ("!memory", Reason::LimitExceeded, "max_memory_bytes"),
        ("!panic", Reason::Crashed, "a parser gave up"),
        ("!abort", Reason::Crashed, "SIGABRT"),
        ("!stack", Reason::LimitExceeded, "stack"),
        ("!garbage", Reason::Crashed, "answered"),
        ("!exit", Reason::Unavailable, "code 3"),
    ] {
        let failure =
            runtime.block_on(sandbox.extract(document.as_bytes(), Some("a.txt"), None)).unwrap_err();
        assert_eq!(failure.reason, reason, "{document}: {failure}");
        assert!(failure.message.contains(words), "{document}: {failure}");
        // The next document is served as if nothing had happened.
        let next = runtime.block_on(sandbox.extract(b"all is well", Some("a.txt"), None)).unwrap();
        assert_eq!(next.text, "all is well");
    }
    let written = runtime.block_on(sandbox.extract(b"!file", Some("a.txt"), None));
    assert!(written.as_ref().map_or(true, |e| e.text == "written: false"), "{written:?}");
    let large = Sandbox::new(SandboxConfig {
        limits: Limits { max_output_bytes: 1000, ..Limits::default() },
        ..sandbox.config().clone()
    });
    let failure = runtime.block_on(large.extract(&[b'a'; 5000], Some("a.txt"), None)).unwrap_err();
    assert_eq!(failure.reason, Reason::TooLarge);
}

fn time_out(runtime: &tokio::runtime::Runtime) {
    let sandbox = sandbox("--hostile-child", |c| c.limits.wall_time = Duration::from_millis(700));
    let started = Instant::now();
    let failure = runtime.block_on(sandbox.extract(b"!sleep", None, None)).unwrap_err();
    assert_eq!(failure.reason, Reason::LimitExceeded, "{failure}");
    assert!(
        failure.message.contains("wall_time") && started.elapsed() < Duration::from_secs(60),
        "{failure}"
    );
    let failure = runtime.block_on(sandbox.extract(b"!family", None, None)).unwrap_err();
    assert_eq!(failure.reason, Reason::LimitExceeded, "{failure}");
    assert!(gone("sleep\u{0}471.1"), "a grandchild outlived its group");
}

/// Whether no such process is left, now or within half a minute: the system takes its time to bury one.
fn gone(words: &str) -> bool {
    (0..600).any(|_| {
        let none = processes(words) == 0;
        if !none {
            std::thread::sleep(Duration::from_millis(50));
        }
        none
    })
}

/// Processes whose command line holds the words and that are still running.
fn processes(words: &str) -> usize {
    let all = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|e| std::fs::read(e.unwrap().path().join("cmdline")).ok());
    all.filter(|line| String::from_utf8_lossy(line).contains(words)).count()
}

fn bare(runtime: &tokio::runtime::Runtime) {
    let secret = std::fs::File::open("/proc/self/status").unwrap();
    let sandbox = sandbox("--hostile-child", |_| {});
    let seen = runtime.block_on(sandbox.extract(b"!look", None, None)).unwrap().text;
    drop(secret);
    let (open, environment) = seen.strip_prefix("fds ").unwrap().split_once(" env ").unwrap();
    assert_eq!(environment, "MALLOC_ARENA_MAX");
    // What this program was itself started with and not told to close is the starter's to hide; the listing is one more.
    let own: Vec<&str> =
        open.split(',').filter(|fd| !["0", "1", "2"].contains(fd) && !handed_down(fd)).collect();
    assert!(own.len() <= 1, "{seen}");
}

/// Whether this process holds the descriptor open across `exec`.
fn handed_down(fd: &str) -> bool {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
    let flags = info
        .lines()
        .find_map(|l| l.strip_prefix("flags:"))
        .and_then(|f| u32::from_str_radix(f.trim(), 8).ok());
    flags.is_some_and(|f| f & 0o2_000_000 == 0)
}

fn wrong_command(runtime: &tokio::runtime::Runtime) {
    let failure =
        runtime.block_on(sandbox("--wrong-child", |_| {}).extract(b"text", None, None)).unwrap_err();
    assert_eq!(failure.reason, Reason::Unavailable, "{failure}");
    let missing = Sandbox::new(SandboxConfig::new("/nonexistent/program"));
    let failure = runtime.block_on(missing.extract(b"text", None, None)).unwrap_err();
    assert_eq!(failure.reason, Reason::Unavailable, "{failure}");
}

fn cancelled(runtime: &tokio::runtime::Runtime) {
    let sandbox = sandbox("--hostile-child", |c| c.size = 1);
    runtime.block_on(async {
        let cut =
            tokio::time::timeout(Duration::from_millis(300), sandbox.extract(b"!family", None, None)).await;
        assert!(cut.is_err());
        let next = sandbox.extract(b"all is well", Some("a.txt"), None).await.unwrap();
        assert_eq!(next.text, "all is well");
    });
    assert!(gone("sleep\u{0}471.1"), "a cancelled call left a process");
}

/// Every file of `fixtures/broken` ends as its README says, and the pool serves the next one.
fn broken_fixtures(runtime: &tokio::runtime::Runtime) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/broken");
    assert!(folder.is_dir(), "{} is missing", folder.display());
    let expected: [(&str, &[&str]); 15] = [
        ("empty.txt", &["empty"]),
        ("whitespace-only.md", &["empty"]),
        ("encrypted.pdf", &["encrypted"]),
        ("image-only.pdf", &["image_only"]),
        ("truncated.docx", &["corrupt"]),
        ("garbage-after-header.pdf", &["corrupt"]),
        ("latin1.txt", &["Süßmilch"]),
        ("utf16le-bom.txt", &["Überprüft"]),
        ("nul-bytes.md", &["unsupported"]),
        ("zip-bomb.docx", &["limit_exceeded", "too_large"]),
        ("billion-laughs.docx", &["corrupt"]),
        ("report.pdf", &["unsupported"]),
        ("firmware.bin", &["unsupported"]),
        ("deeply-nested.html", &[" "]),
        ("bad-line.jsonl", &[": "]),
    ];
    let libs = libraries();
    let pdf = libs.pdfium.is_some();
    if !pdf {
        println!("    skipped: PDF fixtures, the PDFium library is not set up");
    }
    let sandbox = sandbox("--extract-child", |c| c.libs = libs);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "README.md" || (name.ends_with(".pdf") && name != "report.pdf" && !pdf) {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let result = runtime.block_on(sandbox.extract(&bytes, Some(&name), None));
        println!(
            "    {name}: {}",
            result.as_ref().map_or_else(ToString::to_string, |e| format!(
                "{} bytes {:?}",
                e.text.len(),
                e.warnings
            ))
        );
        let allowed = expected.iter().find(|(n, _)| *n == name).map(|(_, allowed)| *allowed);
        if let Some(allowed) = allowed {
            let met = match &result {
                Ok(found) => allowed.iter().any(|a| found.text.contains(a)),
                Err(failure) => allowed.contains(&failure.reason.code()),
            };
            assert!(met, "{name}: {result:?}");
        }
        assert!(!matches!(&result, Err(f) if f.reason == Reason::Crashed), "{name}: {result:?}");
    }
}

fn many(runtime: &tokio::runtime::Runtime) {
    let sandbox = std::sync::Arc::new(sandbox("--hostile-child", |c| c.recycle_after = 7));
    runtime.block_on(async {
        let tasks: Vec<_> = (0..60)
            .map(|i| {
                let sandbox = std::sync::Arc::clone(&sandbox);
                tokio::spawn(async move {
                    let document = if i % 10 == 3 { "!abort".to_owned() } else { format!("document {i}") };
                    (i, sandbox.extract(document.as_bytes(), Some("a.txt"), None).await)
                })
            })
            .collect();
        for task in tasks {
            let (i, result) = task.await.unwrap();
            match result {
                Ok(found) => assert_eq!(found.text, format!("document {i}")),
                Err(failure) => assert!(i % 10 == 3 && failure.reason == Reason::Crashed, "{i}: {failure}"),
            }
        }
    });
}
