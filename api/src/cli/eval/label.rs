//! `wellspring eval label`: judge on the terminal what several systems found.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::PathBuf;

use clap::Args;
use wellspring_eval::dataset::{Accepted, Dataset, Documents, read_topics};
use wellspring_eval::engine::{Engine, Switches};
use wellspring_eval::label::{Judged, pool};
use wellspring_eval::metrics::Run;
use wellspring_eval::run;
use wellspring_retrieve::{Mode, SearchRequest, document_ranking};
use wellspring_store::{DocumentId, ErrorKind};

use super::input::{How, prepare};
use crate::cli::{Global, InCollection};
use crate::output::{Outcome, Printer};

/// Judge documents that several systems found; judgements are kept one by one
#[derive(Debug, Args)]
pub(crate) struct Label {
    /// Queries: lines of id, tab, text, or TREC topics
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    /// A folder of documents, or a corpus.jsonl [default: those in the collection]
    #[arg(long, value_name = "DIR|FILE")]
    documents: Option<PathBuf>,
    #[command(flatten)]
    collection: InCollection,
    /// TREC run files to pool, beside what keyword, dense and hybrid search find; may be repeated
    #[arg(long, value_name = "RUN")]
    run: Vec<PathBuf>,
    /// Ranks of each that are judged
    #[arg(long, default_value_t = 10)]
    depth: usize,
    /// Judgements are kept here in BEIR's columns; those that are there are not asked again
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    how: How,
}

/// Characters of a document that are shown.
const SHOWN: usize = 1_200;

/// What was typed.
enum Answer {
    Grade(i32),
    Later,
    NextQuery,
    Stop,
}

impl Label {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<Outcome> {
        let printer = Printer { json: false };
        let queries = read_topics(&self.queries, &mut Accepted::default())?;
        let documents = match &self.documents {
            Some(path) => Documents::at(path)?,
            None => Documents::Indexed,
        };
        let mut runs = self.run.iter().map(|path| run::read(path)).collect::<Result<Vec<_>, _>>()?;
        let mut judged = Judged::open(&self.out)?;
        let unasked = Dataset::unasked(documents);
        let bench = self.how.bench(global, &unasked, &self.collection)?;
        let (engine, _) = prepare(&bench, &unasked, &Switches::default(), printer).await?;
        for mode in [Mode::Keyword, Mode::Dense, Mode::Hybrid] {
            runs.push(found(&engine, &queries, mode, self.depth).await?);
        }
        let ended = self.ask(&engine, &queries, &runs, &mut judged, printer).await;
        bench.close().await?;
        ended?;
        let counts: Vec<String> =
            judged.counts().iter().map(|(grade, times)| format!("grade {grade}: {times}")).collect();
        printer.line(format_args!("kept in {}: {}", self.out.display(), counts.join(", ")))?;
        Ok(Outcome::Good)
    }

    async fn ask(
        &self,
        engine: &Engine,
        queries: &BTreeMap<String, String>,
        runs: &[Run],
        judged: &mut Judged,
        printer: Printer,
    ) -> anyhow::Result<()> {
        printer.line(
            "Grades: 3 answers it, 2 holds a part, 1 is related, 0 is not. s: later, n: next query, q: stop.",
        )?;
        for (at, (query, text)) in queries.iter().enumerate() {
            let pool = pool(runs, query, self.depth);
            let open: Vec<String> = judged.open_of(query, &pool).into_iter().cloned().collect();
            for (place, document) in open.iter().enumerate() {
                printer.line(format_args!(
                    "\nquery {} of {}, document {} of {}\n  {text}\n\n{}",
                    at + 1,
                    queries.len(),
                    place + 1,
                    open.len(),
                    shown(engine, document).await?
                ))?;
                // Waits for a person; nothing else runs in this command meanwhile.
                match tokio::task::spawn_blocking(typed).await?? {
                    Answer::Grade(grade) => judged.keep(query, document, grade)?,
                    Answer::Later => {}
                    Answer::NextQuery => break,
                    Answer::Stop => return Ok(()),
                }
            }
        }
        Ok(())
    }
}

/// What one mode finds for every query.
async fn found(
    engine: &Engine,
    queries: &BTreeMap<String, String>,
    mode: Mode,
    depth: usize,
) -> anyhow::Result<Run> {
    let mut run = Run::new();
    for (query, text) in queries {
        let request = SearchRequest { mode, ..SearchRequest::new(text.as_str()) };
        let response = engine.retriever.search_documents(&engine.collection, request, depth.max(1)).await?;
        let ranking = document_ranking(&response.hits);
        run.insert(query.clone(), ranking.into_iter().map(|(id, score)| (id.into(), score)).collect());
    }
    Ok(run)
}

/// Title, id and the beginning of the text.
async fn shown(engine: &Engine, document: &str) -> anyhow::Result<String> {
    let id = DocumentId::new(document)?;
    let text = match engine.catalog.text(&engine.collection, &id).await {
        Ok((text, ..)) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(format!("  {document}\n  (not in the collection)"));
        }
        Err(error) => return Err(error.into()),
    };
    let title = engine.catalog.document(&engine.collection, &id).await?.title.unwrap_or_default();
    let begin: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).take(SHOWN).collect();
    let more = if text.chars().count() > SHOWN { " …" } else { "" };
    Ok(format!("  {document}  {title}\n{begin}{more}"))
}

/// Asks until the answer is one; the end of the input stops.
fn typed() -> anyhow::Result<Answer> {
    loop {
        write!(anstream::stdout().lock(), "grade> ")?;
        anstream::stdout().lock().flush()?;
        let mut line = String::new();
        if std::io::stdin().lock().read_line(&mut line)? == 0 {
            return Ok(Answer::Stop);
        }
        match line.trim() {
            "s" | "" => return Ok(Answer::Later),
            "n" => return Ok(Answer::NextQuery),
            "q" => return Ok(Answer::Stop),
            grade => match grade.parse::<i32>() {
                Ok(grade @ 0..=3) => return Ok(Answer::Grade(grade)),
                _ => writeln!(anstream::stdout().lock(), "a grade of 0 to 3, or s, n, q")?,
            },
        }
    }
}
