//! `wellspring usage`: what paid models used and cost, by day, purpose and model.

use clap::Args;
use wellspring_models::Money;

use super::local_scope;
use crate::app::App;
use crate::budget::{self, Day};
use crate::output::{Outcome, Printer, note, table};

/// Show what paid models used and cost
#[derive(Debug, Args)]
pub(crate) struct Usage {
    /// The first day, e.g. 2026-03-01 [default: 29 days before the last]
    #[arg(long, value_name = "DAY")]
    from: Option<Day>,
    /// The last day [default: today, in UTC]
    #[arg(long, value_name = "DAY")]
    to: Option<Day>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Usage {
    /// Prints a table, its sum, and how much of the limits is taken.
    pub(crate) async fn run(self, app: App) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let scope = local_scope();
        let report = budget::report(&app, scope.tenant(), None, (self.from, self.to), true).await?;
        app.close().await?;
        printer.document(&report)?;
        let money = |cost: Option<Money>| cost.map_or_else(|| "–".to_owned(), |cost| cost.to_string());
        if !report.rows.is_empty() {
            let mut rows = table(["day", "purpose", "model", "calls", "read", "written", &report.currency]);
            for line in &report.rows {
                let used = &line.used;
                rows.add_row([
                    line.day.clone(),
                    line.purpose.clone(),
                    line.model.clone(),
                    used.calls.to_string(),
                    used.input_tokens.to_string(),
                    used.output_tokens.to_string(),
                    money(used.cost),
                ]);
            }
            printer.line(rows)?;
            for (model, used) in report.by_model() {
                let tokens = used.input_tokens + used.output_tokens;
                printer.line(format_args!(
                    "{model}: {tokens} tokens, {} {}",
                    money(used.cost),
                    report.currency
                ))?;
            }
        }
        for limit in &report.limits {
            printer.line(format_args!("{} today: {} of {}", limit.name, limit.used, limit.limit))?;
        }
        if report.rows.is_empty() {
            note("no paid model was used");
        }
        Ok(Outcome::Good)
    }
}
