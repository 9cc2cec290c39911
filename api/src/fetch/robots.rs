//! `robots.txt` as RFC 9309 has it: the group that names this program, else that of everybody; the longest rule wins.

use url::Url;

/// Most bytes that are read: what the standard asks for.
pub(super) const LARGEST: usize = 500 << 10;
/// The name that a group can call this program by.
const NAME: &str = "wellspring";

/// What may be read.
#[derive(Debug, Default)]
pub(super) struct Robots {
    /// Patterns of paths, and whether what they match may be read.
    rules: Vec<(String, bool)>,
}

impl Robots {
    /// Reads a file; lines that are no rules are left alone.
    pub(super) fn parse(text: &str) -> Self {
        let (mut own, mut everybodys) = (Vec::new(), Vec::new());
        let (mut for_us, mut for_all, mut named, mut in_names) = (false, false, false, false);
        for line in text.trim_start_matches('\u{feff}').lines() {
            let line = line.split('#').next().unwrap_or_default();
            let Some((field, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match field.trim().to_ascii_lowercase().as_str() {
                "user-agent" => {
                    if !in_names {
                        (for_us, for_all) = (false, false);
                    }
                    in_names = true;
                    for_us |= value.eq_ignore_ascii_case(NAME);
                    for_all |= value == "*";
                    named |= value.eq_ignore_ascii_case(NAME);
                }
                field @ ("allow" | "disallow") => {
                    in_names = false;
                    // An empty rule matches nothing.
                    if !value.is_empty() {
                        let rule = (value.to_owned(), field == "allow");
                        if for_us {
                            own.push(rule.clone());
                        }
                        if for_all {
                            everybodys.push(rule);
                        }
                    }
                }
                _ => {}
            }
        }
        Self { rules: if named { own } else { everybodys } }
    }

    /// Whether this page may be read.
    pub(super) fn permit(&self, url: &Url) -> bool {
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let matching = self.rules.iter().filter(|(pattern, _)| matches(pattern, &path));
        // Of two as long, the one that allows.
        matching.max_by_key(|(pattern, allows)| (pattern.len(), *allows)).is_none_or(|(_, allows)| *allows)
    }
}

/// Whether a path begins as the pattern says; `*` is any text, `$` at the end is the path's end.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, whole) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return !whole || rest.is_empty() };
    for part in middle {
        // The earliest place leaves the most for what follows.
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    if whole { rest.ends_with(last) } else { rest.contains(last) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(text: &str, path: &str) -> bool {
        Robots::parse(text).permit(&Url::parse(&format!("https://example.org{path}")).unwrap())
    }

    #[test]
    fn the_own_group_counts_else_everybodys() {
        let text = "User-agent: *\nDisallow: /\n\nuser-agent: other\nUser-Agent: Wellspring # us\nDisallow: /private\n";
        assert!(permits(text, "/page") && !permits(text, "/private/page"));
        let text = "User-agent: other\nDisallow: /\n\nUser-agent: *\nDisallow: /tmp";
        assert!(permits(text, "/page") && !permits(text, "/tmp"));
        assert!(
            permits("", "/page")
                && permits("User-agent: *\nDisallow:", "/page")
                && permits("Disallow: /", "/x")
        );
        assert!(permits(
            "User-agent: wellspring\nUser-agent: *\nAllow: /\n\nUser-agent: *\nDisallow: /",
            "/x"
        ));
    }

    #[test]
    fn the_longest_rule_wins() {
        let text =
            "User-agent: *\nDisallow: /a\nAllow: /a/b\nDisallow: /a/b/c\nAllow: /same\nDisallow: /same";
        for (path, may) in [("/a", false), ("/a/b", true), ("/a/b/c", false), ("/same", true), ("/z", true)] {
            assert_eq!(permits(text, path), may, "{path}");
        }
    }

    #[test]
    fn stars_and_ends() {
        for (pattern, path, fits) in [
            ("/", "/x", true),
            ("/*.pdf$", "/a/b.pdf", true),
            ("/*.pdf$", "/a/b.pdf?x", false),
            ("/*.pdf", "/a/b.pdf?x", true),
            ("/a*b*c", "/axxbyyc", true),
            ("/a*b*c", "/axxcyyb", false),
            ("/exact$", "/exact", true),
            ("/exact$", "/exactly", false),
            ("*", "/x", true),
            ("/*?print=", "/page?print=1", true),
            ("$", "/", false),
        ] {
            assert_eq!(matches(pattern, path), fits, "{pattern} {path}");
        }
    }
}
