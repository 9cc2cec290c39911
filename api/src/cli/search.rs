//! `wellspring search`: passages for a query.

use clap::{Args, ValueEnum};
use wellspring_retrieve::{Mode, SearchRequest};
use wellspring_store::Filter;

use super::InCollection;
use crate::app::App;
use crate::output::{Outcome, Printer, note};

mod explain;

/// Find passages
#[derive(Debug, Args)]
pub(crate) struct Search {
    #[command(flatten)]
    collection: InCollection,
    /// Passages wanted (1-1000)
    #[arg(short, default_value_t = 10)]
    k: usize,
    /// How to search
    #[arg(long, value_enum, default_value_t = ModeFlag::Hybrid)]
    mode: ModeFlag,
    /// Only documents whose metadata passes, e.g. 'year >= 2024 and lang = "de"'
    #[arg(long, value_name = "EXPR")]
    filter: Option<String>,
    /// Show where each hit came from and what each stage took
    #[arg(long)]
    explain: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// What to look for
    query: String,
}

/// How to search, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeFlag {
    /// Vectors and words, fused
    Hybrid,
    /// Vectors only
    Dense,
    /// Words only
    Keyword,
}

impl From<ModeFlag> for Mode {
    fn from(mode: ModeFlag) -> Self {
        match mode {
            ModeFlag::Hybrid => Self::Hybrid,
            ModeFlag::Dense => Self::Dense,
            ModeFlag::Keyword => Self::Keyword,
        }
    }
}

impl Search {
    /// Prints the passages; `No` if there are none.
    pub(crate) async fn run(self, app: App) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let scope = self.collection.open(&app).await?;
        let request = SearchRequest {
            k: self.k,
            mode: self.mode.into(),
            filter: self.filter.as_deref().map(Filter::parse).transpose()?,
            explain: self.explain,
            ..SearchRequest::new(self.query)
        };
        let response = app.retriever.search(&scope, request).await?;
        printer.document(&response)?;
        for degraded in &response.degraded {
            note(format_args!("warning: the {} leg is missing: {}", degraded.leg, degraded.reason));
        }
        if let Some(meant) = &response.did_you_mean {
            note(format_args!("did you mean: {meant}"));
        }
        let best = explain::Best::of(&response.hits);
        for (rank, hit) in response.hits.iter().enumerate() {
            let page = hit.page.map(|page| format!(", page {page}")).unwrap_or_default();
            let title = hit.title.as_deref().unwrap_or(&hit.source);
            printer.line(format_args!("\u{1b}[1m{}. {title}\u{1b}[0m  {:.3}", rank + 1, hit.score))?;
            printer.line(format_args!(
                "   \u{1b}[2m{}{page}, bytes {}-{}\u{1b}[0m",
                hit.source, hit.start, hit.end
            ))?;
            printer.line(format_args!("   {}", excerpt(&hit.text, 300)))?;
            if let Some(explain) = &hit.explain {
                for line in explain::hit(explain, &best) {
                    printer.line(format_args!("   \u{1b}[36m{line}\u{1b}[0m"))?;
                }
            }
            printer.line("")?;
        }
        if let Some(explain) = &response.explain {
            for line in explain::search(explain, &response.timings) {
                printer.line(format_args!("\u{1b}[36m{line}\u{1b}[0m"))?;
            }
        }
        if response.hits.is_empty() {
            note("nothing found");
            return Ok(Outcome::No);
        }
        Ok(Outcome::Good)
    }
}

/// At most `limit` characters on one line.
pub(crate) fn excerpt(text: &str, limit: usize) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(limit) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn excerpts_are_cut_between_characters() {
        assert_eq!(excerpt("Grüße\n  aus  Köln", 7), "Grüße a…");
        assert_eq!(excerpt("kurz", 7), "kurz");
    }
}
