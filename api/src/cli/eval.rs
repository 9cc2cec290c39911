//! `wellspring eval`: retrieval and quoted answers measured, without any chat model.

use clap::Subcommand;

use super::Global;
use crate::output::Outcome;

mod ablate;
mod agreement;
mod answers;
mod bench;
mod compare;
mod gate;
mod input;
mod judgements;
mod label;
mod learn;
mod report;
mod retrieval;
mod score;
mod show;
mod synth;
mod tune;

/// `eval …`
#[derive(Debug, Subcommand)]
pub(crate) enum Eval {
    /// Index a dataset, ask its queries, and score the rankings
    Retrieval(Box<retrieval::Retrieval>),
    /// Ask a dataset's questions: do quoted answers hold the answer, are unanswerable questions refused?
    Answers(Box<answers::Answers>),
    /// Score a run file that any system wrote
    Score(score::Score),
    /// Compare run files with each other: tests, intervals, effect sizes, and the queries that moved
    Compare(compare::Compare),
    /// Fail (exit 1) when retrieval is significantly worse than a baseline, or below a floor
    Gate(Box<gate::Gate>),
    /// Evaluate a matrix of switches: quality and cost of each against the default
    Ablate(Box<ablate::Ablate>),
    /// Choose fusion, weights and depths by nested cross-validation
    Tune(Box<tune::Tune>),
    /// Train a model that orders hits, and say by nested cross-validation what it is worth
    Learn(Box<learn::Learn>),
    /// Evaluate datasets in every mode and write a report: HTML, JSON beside it, Markdown
    Report(Box<report::Report>),
    /// Make a first test set from documents, by rules or with a chat model
    Synth(Box<synth::Synth>),
    /// Judge documents that several systems found, on the terminal or a web page; judgements are kept one by one
    Label(Box<label::Label>),
    /// Make judgements out of a log of what people clicked and rated
    Judgements(judgements::Judgements),
}

impl Eval {
    /// Carries it out.
    pub(crate) async fn run(self, global: &Global) -> anyhow::Result<Outcome> {
        match self {
            Self::Retrieval(retrieval) => retrieval.run(global).await,
            Self::Answers(answers) => Box::pin(answers.run(global)).await,
            Self::Score(score) => score.run(),
            Self::Compare(compare) => compare.run(),
            Self::Gate(gate) => Box::pin(gate.run(global)).await,
            Self::Ablate(ablate) => ablate.run(global).await,
            Self::Tune(tune) => tune.run(global).await,
            Self::Learn(learn) => learn.run(global).await,
            Self::Report(report) => report.run(global).await,
            Self::Synth(synth) => synth.run(global).await,
            Self::Label(label) => label.run(global).await,
            Self::Judgements(judgements) => judgements.run(),
        }
    }
}
