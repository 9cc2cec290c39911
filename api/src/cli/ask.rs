//! `wellspring ask`: an answer whose every citation was checked.

use clap::Args;
use wellspring_answer::AnswerRequest;
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
        let answer = app.answerer.answer(&scope, request).await?;
        printer.document(&answer)?;
        for warning in &answer.warnings {
            note(format_args!("warning: {}", warning.message));
        }
        printer.line(&answer.answer)?;
        if !answer.citations.is_empty() {
            printer.line("")?;
        }
        for citation in &answer.citations {
            let page = citation.page.map(|page| format!(", page {page}")).unwrap_or_default();
            printer.line(format_args!(
                "\u{1b}[1m[{}]\u{1b}[0m {}{page}, bytes {}-{}",
                citation.n, citation.source, citation.start, citation.end
            ))?;
            printer.line(format_args!(
                "    \u{1b}[2m“{}”\u{1b}[0m",
                super::search::excerpt(&citation.quote, 300)
            ))?;
        }
        if let (Some(cost), Some(currency)) = (answer.spending.cost, &answer.spending.currency) {
            note(format_args!("cost: {cost} {currency}"));
        }
        Ok(if answer.abstained { Outcome::No } else { Outcome::Good })
    }
}
