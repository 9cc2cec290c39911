//! `wellspring ask`: an answer whose every citation was checked.

use std::io::IsTerminal;

use clap::Args;
use futures::StreamExt;
use futures::stream::BoxStream;
use wellspring_answer::{Answer, AnswerEvent, AnswerRequest, Citation};
use wellspring_store::Filter;

use super::InCollection;
use crate::app::App;
use crate::output::{Outcome, Printer, note};

/// Answer a question with citations
#[derive(Debug, Args)]
pub(crate) struct Ask {
    #[command(flatten)]
    collection: InCollection,
    /// Only documents whose metadata passes, e.g. 'year >= 2024'
    #[arg(long, value_name = "EXPR")]
    filter: Option<String>,
    /// A configured chat model; without any, the answer is made of the documents' own sentences
    #[arg(long)]
    model: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The question
    question: String,
}

impl Ask {
    /// Prints the answer; `No` if it abstained.
    pub(crate) async fn run(self, app: App) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let scope = self.collection.open(&app).await?;
        let request = AnswerRequest {
            filter: self.filter.as_deref().map(Filter::parse).transpose()?,
            model: self.model,
            ..AnswerRequest::new(self.question)
        };
        let person = !self.json && std::io::stdout().is_terminal();
        let (answer, shown) = if person {
            watch(app.answerer.stream(&scope, request), printer).await?
        } else {
            (app.answerer.answer(&scope, request).await?, String::new())
        };
        printer.document(&answer)?;
        tell(printer, &answer, &shown)?;
        Ok(if answer.abstained { Outcome::No } else { Outcome::Good })
    }
}

/// What of an answer was not `shown` yet: its warnings, its text where that is not what was streamed, its footnotes.
pub(super) fn tell(printer: Printer, answer: &Answer, shown: &str) -> anyhow::Result<()> {
    for warning in &answer.warnings {
        note(format_args!("warning: {}", warning.message));
    }
    // What was streamed stands, unless a sentence had to be withdrawn meanwhile.
    if shown.trim() != answer.answer.trim() {
        if !shown.is_empty() {
            note("documents went away while the answer was written; what is left of it:");
        }
        printer.line(&answer.answer)?;
    }
    for citation in &answer.citations {
        printer.line(footnote(citation))?;
    }
    if let (Some(cost), Some(currency)) = (answer.spending.cost, &answer.spending.currency) {
        note(format_args!("cost: {cost} {currency}"));
    }
    Ok(())
}

/// Prints the text as it comes; gives the whole answer and what was printed of it.
pub(super) async fn watch(
    mut events: BoxStream<'static, AnswerEvent>,
    printer: Printer,
) -> anyhow::Result<(Answer, String)> {
    let mut shown = String::new();
    while let Some(event) = events.next().await {
        match event {
            AnswerEvent::Token(text) => {
                printer.part(&text)?;
                shown.push_str(&text);
            }
            AnswerEvent::Done(answer) | AnswerEvent::Refused(answer) => {
                if !shown.is_empty() {
                    printer.line("")?;
                }
                return Ok((*answer, shown));
            }
            AnswerEvent::Error(error) => {
                if !shown.is_empty() {
                    printer.line("")?;
                    note("what is above is not the whole answer, and was not checked once more at its end");
                }
                return Err(error.into());
            }
            _ => {}
        }
    }
    anyhow::bail!("the answer ended without a terminal event")
}

/// `[n] file:page`, which editors and terminals can follow, and what stands there.
fn footnote(citation: &Citation) -> String {
    let page = citation.page.map(|page| format!(":{page}")).unwrap_or_default();
    format!(
        "\n\u{1b}[1m[{}]\u{1b}[0m {}{page}  \u{1b}[2mbytes {}-{}\n    “{}”\u{1b}[0m",
        citation.n,
        citation.source,
        citation.start,
        citation.end,
        super::search::excerpt(&citation.quote, 300)
    )
}
