//! `wellspring eval label`: judge what several systems found, on the terminal or on a local web page.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wellspring_eval::dataset::{Accepted, Dataset, Documents, read_topics};
use wellspring_eval::engine::{Engine, Switches};
use wellspring_eval::label::{HIGHEST, Judged, Session};
use wellspring_eval::metrics::Run;
use wellspring_eval::run;
use wellspring_retrieve::{Mode, SearchRequest, document_ranking};
use wellspring_store::{DocumentId, ErrorKind};

use super::input::{How, prepare};
use crate::cli::{Global, InCollection};
use crate::output::{Outcome, Printer};

mod web;

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
    /// Judge on a web page on this machine instead of the terminal
    #[arg(long)]
    web: bool,
    /// Where that page is served: a loopback address; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", requires = "web")]
    listen: SocketAddr,
    #[command(flatten)]
    how: How,
}

/// Characters of a document that the terminal shows.
const TERMINAL: usize = 1_200;

/// What was typed.
enum Answer {
    Grade(i32),
    Later,
    Back,
    NextQuery,
    Undo,
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
        let judged = Judged::open(&self.out)?;
        let unasked = Dataset::unasked(documents);
        let bench = self.how.bench(global, &unasked, &self.collection)?;
        let (engine, _) = prepare(&bench, &unasked, &Switches::default(), printer).await?;
        for mode in [Mode::Keyword, Mode::Dense, Mode::Hybrid] {
            runs.push(found(&engine, &queries, mode, self.depth).await?);
        }
        let session = Session::new(queries, &runs, self.depth, judged, self.how.seed);
        let ended = match self.web {
            true => web::serve(self.listen, engine.clone(), session, printer).await,
            false => ask(&engine, session, printer).await,
        };
        drop(engine);
        bench.close().await?;
        let counts: Vec<String> =
            ended?.iter().map(|(grade, times)| format!("grade {grade}: {times}")).collect();
        printer.line(format_args!("kept in {}: {}", self.out.display(), counts.join(", ")))?;
        Ok(Outcome::Good)
    }
}

/// Asks on the terminal until everything is judged or the person stops; gives the judgements in the file, by grade.
async fn ask(
    engine: &Engine,
    mut session: Session,
    printer: Printer,
) -> anyhow::Result<BTreeMap<i32, usize>> {
    printer.line(
        "Grades: 3 answers it, 2 holds a part, 1 is related, 0 is not. n: later, p: back, N: next query, u: undo, q: stop.",
    )?;
    while let Some(place) = session.place() {
        let (progress, shown) = (session.progress(), shown(engine, &place.document, TERMINAL).await?);
        let before = place.grade.map_or_else(String::new, |grade| format!("  (graded {grade})"));
        printer.line(format_args!(
            "\n{} of {} judged; query {}, document {} of {}{before}\n  {}\n\n  {}  {}\n{}",
            progress.judged,
            progress.documents,
            place.query,
            place.number,
            place.of,
            place.text,
            place.document,
            shown.title,
            shown.text
        ))?;
        // Waits for a person; nothing else runs in this command meanwhile.
        match tokio::task::spawn_blocking(typed).await?? {
            Answer::Grade(grade) => session.grade((&place.query, &place.document), grade)?,
            Answer::Later => session.next(),
            Answer::Back => session.previous(),
            Answer::NextQuery => session.next_query(),
            Answer::Undo => {
                session.undo()?;
            }
            Answer::Stop => break,
        }
    }
    Ok(session.counts())
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

/// A document as a person reads it.
#[derive(Serialize)]
struct Shown {
    title: String,
    text: String,
}

/// Title and the first `most` characters of the text.
async fn shown(engine: &Engine, document: &str, most: usize) -> anyhow::Result<Shown> {
    let id = DocumentId::new(document)?;
    let text = match engine.catalog.text(&engine.collection, &id).await {
        Ok((text, ..)) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Shown { title: String::new(), text: "(not in the collection)".to_owned() });
        }
        Err(error) => return Err(error.into()),
    };
    let title = engine.catalog.document(&engine.collection, &id).await?.title.unwrap_or_default();
    let mut begin: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).take(most).collect();
    if text.chars().count() > most {
        begin.push_str(" …");
    }
    Ok(Shown { title: title.chars().filter(|c| !c.is_control()).collect(), text: begin })
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
            "n" | "" => return Ok(Answer::Later),
            "p" => return Ok(Answer::Back),
            "N" => return Ok(Answer::NextQuery),
            "u" => return Ok(Answer::Undo),
            "q" => return Ok(Answer::Stop),
            grade => match grade.parse::<i32>() {
                Ok(grade @ 0..=HIGHEST) => return Ok(Answer::Grade(grade)),
                _ => writeln!(anstream::stdout().lock(), "a grade of 0 to 3, or n, p, N, u, q")?,
            },
        }
    }
}
