//! `wellspring doctor`: what this machine lacks, and how to get it.

use std::path::Path;

use clap::Args;
use serde_json::json;
use wellspring_ingest::sandbox::Sandbox;
use wellspring_models::registry::{Finding, Registry};
use wellspring_store::catalog::postgres::{PostgresConfig, probe};
use wellspring_store::folder::DataFolder;
use wellspring_store::vector::choice::QdrantConfig;
use wellspring_store::vector::qdrant::QdrantEngine;

use super::Global;
use crate::app;
use crate::config::Config;
use crate::output::{Outcome, Printer};

/// Say what is missing on this machine and how to get it
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Looks at everything; `No` if something is missing.
    pub(crate) async fn run(self, global: &Global, config: Config) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let registry = Registry::new(config.models.clone())?;
        let mut findings = registry.check();
        findings.push(extraction(&config, &registry).await);
        findings.push(data(&app::data_folder(global)?));
        if let Some(postgres) = &config.postgres {
            findings.push(database(postgres).await);
        }
        if let Some(server) = &config.vectors.qdrant {
            findings.push(qdrant(server).await);
        }
        printer.document(&json!({ "findings": findings }))?;
        for finding in &findings {
            let mark = if finding.ok { "\u{1b}[32m✓\u{1b}[0m" } else { "\u{1b}[31m✗\u{1b}[0m" };
            printer.line(format_args!("{mark} {}: {}", finding.what, finding.detail))?;
            if let Some(fix) = &finding.fix {
                printer.line(format_args!("  fix: {fix}"))?;
            }
        }
        Ok(if findings.iter().all(|finding| finding.ok) { Outcome::Good } else { Outcome::No })
    }
}

/// Reads one tiny PDF in the child process, so that library, limits and the child itself are seen to work together.
async fn extraction(config: &Config, registry: &Registry) -> Finding {
    let outcome = match app::sandbox(config, registry) {
        Ok(sandbox) => read_probe(&sandbox).await,
        Err(error) => Err(error.to_string()),
    };
    let ok = outcome.is_ok();
    Finding {
        what: "reading documents (PDF in a child process)".to_owned(),
        ok,
        detail: outcome.unwrap_or_else(|error| error),
        fix: (!ok).then(|| {
            "run `make setup`; without PDFium every other kind of document is still read".to_owned()
        }),
    }
}

async fn read_probe(sandbox: &Sandbox) -> Result<String, String> {
    match sandbox.extract(PROBE_PDF, Some("probe.pdf"), None).await {
        Ok(read) if read.text.contains("Wellspring") => Ok("works".to_owned()),
        Ok(read) => Err(format!("the probe was misread as {:?}", read.text)),
        Err(failure) => Err(failure.to_string()),
    }
}

/// A one-line PDF.
const PROBE_PDF: &[u8] = b"%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 100]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>endobj
4 0 obj<</Length 44>>stream
BT /F1 18 Tf 20 50 Td (Wellspring probe) Tj ET
endstream endobj
5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj
trailer<</Root 1 0 R>>
";

/// Whether the data folder can be opened for writing.
fn data(folder: &Path) -> Finding {
    let outcome = DataFolder::open(folder, "doctor");
    let (ok, detail, fix) = match outcome {
        Ok(_) => (true, folder.display().to_string(), None),
        // A running server holds it: that is how it should be.
        Err(error) if error.kind() == wellspring_store::ErrorKind::Conflict => {
            (true, error.to_string(), None)
        }
        Err(error) => (false, error.to_string(), Some("name another folder with --data".to_owned())),
    };
    Finding { what: "data folder".to_owned(), ok, detail, fix }
}

/// Whether the configured database can be used. Nothing is made in it.
async fn database(config: &PostgresConfig) -> Finding {
    let (ok, detail, fix) = match probe(config).await {
        Ok(found) => {
            let state =
                if found.begun { "holds a catalog" } else { "is empty: the first start makes the schema" };
            let vectors =
                found.pgvector.map_or("no pgvector".to_owned(), |version| format!("pgvector {version}"));
            (true, format!("PostgreSQL {}, {vectors}; the database {state}", found.server), None)
        }
        Err(error) => {
            let fix =
                "check `postgres.url` (or DATABASE_URL), that the server runs, and that it lets this user in";
            (false, error.to_string(), Some(fix.to_owned()))
        }
    };
    Finding { what: "database".to_owned(), ok, detail, fix }
}

/// Whether the configured Qdrant server can be used. Nothing is made on it.
async fn qdrant(config: &QdrantConfig) -> Finding {
    let found = match QdrantEngine::new(config, "doctor") {
        Ok(engine) => engine.probe().await,
        Err(error) => Err(error),
    };
    let (ok, detail, fix) = match found {
        Ok(place) => (true, place, None),
        Err(error) => {
            let fix = "check `vectors.qdrant.url` (or QDRANT_URL: the gRPC port, 6334), `vectors.qdrant.api_key` (or \
                       QDRANT_API_KEY), and that the server runs";
            (false, error.to_string(), Some(fix.to_owned()))
        }
    };
    Finding { what: "vectors".to_owned(), ok, detail, fix }
}
