//! `wellspring chat`: one question after another, each understood from those before and answered with checked citations.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::Context;
use clap::Args;
use tokio::sync::mpsc;
use wellspring_answer::{AnswerRequest, Exchange, MAX_HISTORY};
use wellspring_store::{CollectionScope, Filter};

use super::InCollection;
use super::ask::{tell, watch};
use crate::app::App;
use crate::output::{Outcome, Printer, note};

const HELP: &str =
    "/new forgets what was said, /help shows this, /quit or Ctrl-D ends; Ctrl-C stops an answer";

/// Ask one question after another, each understood from those before
#[derive(Debug, Args)]
pub(crate) struct Chat {
    #[command(flatten)]
    collection: InCollection,
    /// Only documents whose metadata passes, e.g. 'year >= 2024'
    #[arg(long, value_name = "EXPR")]
    filter: Option<String>,
    /// A configured chat model; without any, the answers are made of the documents' own sentences
    #[arg(long)]
    model: Option<String>,
    /// Print each answer as JSON on a line of its own
    #[arg(long)]
    json: bool,
}

/// A line as it was meant.
#[derive(Debug, PartialEq, Eq)]
enum Typed<'a> {
    Question(&'a str),
    Nothing,
    New,
    Help,
    Quit,
    Unknown(&'a str),
}

fn read(line: &str) -> Typed<'_> {
    match line.trim() {
        "" => Typed::Nothing,
        "/new" => Typed::New,
        "/help" | "/?" => Typed::Help,
        "/quit" | "/exit" => Typed::Quit,
        command if command.starts_with('/') => Typed::Unknown(command),
        question => Typed::Question(question),
    }
}

impl Chat {
    /// Asks until the input ends; `No` if there were questions and none of them was answered.
    pub(crate) async fn run(self, app: App) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let scope = self.collection.open(&app).await?;
        let filter = self.filter.as_deref().map(Filter::parse).transpose()?;
        // Questions that are piped in need no prompt, and answers that are piped out no dance.
        let person = !self.json && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        if person {
            note(format_args!("Asking `{}`. {HELP}.", self.collection.collection));
        }
        let mut lines = typed()?;
        let mut history: Vec<Exchange> = Vec::new();
        let (mut asked, mut answered) = (0_u32, 0_u32);
        loop {
            if person {
                printer.part("\n\u{1b}[1m›\u{1b}[0m ")?;
            }
            let line = tokio::select! {
                line = lines.recv() => line,
                // A script is ended by the system, as any other program.
                _ = tokio::signal::ctrl_c(), if person => None,
            };
            let Some(line) = line else { break };
            let question = match read(&line?) {
                Typed::Question(question) => question.to_owned(),
                Typed::Nothing => continue,
                Typed::New => {
                    history.clear();
                    note("what was said is forgotten");
                    continue;
                }
                Typed::Help => {
                    note(HELP);
                    continue;
                }
                Typed::Unknown(command) => {
                    note(format_args!("there is no `{command}`: {HELP}"));
                    continue;
                }
                Typed::Quit => break,
            };
            asked += 1;
            let request = AnswerRequest {
                filter: filter.clone(),
                model: self.model.clone(),
                history: history.clone(),
                ..AnswerRequest::new(question.clone())
            };
            let exchange = tokio::select! {
                exchange = ask(&app, &scope, request, printer, person) => exchange,
                _ = tokio::signal::ctrl_c(), if person => {
                    printer.line("")?;
                    note("stopped; what is above is not the whole answer");
                    continue;
                }
            };
            match exchange {
                Ok((exchange, good)) => {
                    answered += u32::from(good);
                    history.push(exchange);
                    let forgotten = history.len().saturating_sub(MAX_HISTORY);
                    history.drain(..forgotten);
                }
                // A person can ask again; a script must hear of it.
                Err(error) if person => crate::output::report_error(&error),
                Err(error) => return Err(error),
            }
        }
        if person {
            writeln!(std::io::stderr().lock())?;
        }
        Ok(if asked > 0 && answered == 0 { Outcome::No } else { Outcome::Good })
    }
}

/// Asks one question and tells the answer; gives what the next one is understood from, and whether it was answered.
async fn ask(
    app: &App,
    scope: &CollectionScope,
    request: AnswerRequest,
    printer: Printer,
    person: bool,
) -> anyhow::Result<(Exchange, bool)> {
    let question = request.question.clone();
    let (answer, shown) = if person {
        watch(app.answerer.stream(scope, request), printer).await?
    } else {
        (app.answerer.answer(scope, request).await?, String::new())
    };
    if let Some(standalone) = &answer.details.standalone {
        note(format_args!("understood as: {standalone}"));
    }
    printer.record(&answer)?;
    if !person {
        printer.line(format_args!("\u{1b}[1m› {question}\u{1b}[0m\n"))?;
    }
    tell(printer, &answer, &shown)?;
    if !person {
        printer.line("")?;
    }
    let good = !answer.abstained;
    let question = answer.details.standalone.clone().unwrap_or(question);
    Ok((Exchange { question, answer: answer.answer }, good))
}

/// The lines of standard input. They are read on a thread of their own: nothing can end a read that waits for a person, and
/// the process must not wait for it either.
fn typed() -> anyhow::Result<mpsc::Receiver<std::io::Result<String>>> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::Builder::new()
        .name("typed".to_owned())
        .spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let last = line.is_err();
                if sender.blocking_send(line).is_err() || last {
                    break;
                }
            }
        })
        .context("standard input can't be read")?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_question_unless_it_begins_with_a_slash() {
        assert_eq!(read("  What is it?  "), Typed::Question("What is it?"));
        assert_eq!(read("is 1/2 enough?"), Typed::Question("is 1/2 enough?"));
        assert_eq!(read(" \t"), Typed::Nothing);
        assert_eq!((read("/new"), read("/exit ")), (Typed::New, Typed::Quit));
        assert_eq!(read("/nwe"), Typed::Unknown("/nwe"));
    }
}
