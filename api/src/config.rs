//! The configuration: defaults, then a TOML file, then `WELLSPRING__SECTION__KEY` variables, then flags.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use etcetera::BaseStrategy;
use serde::{Deserialize, Serialize};
use wellspring_answer::AnswerConfig;
use wellspring_ingest::extract::Limits;
use wellspring_ingest::{ChunkConfig, IngestConfig};
use wellspring_models::registry::ModelsConfig;
use wellspring_retrieve::RetrieveConfig;
use wellspring_store::catalog::postgres::PostgresConfig;
use wellspring_store::sync::SyncConfig;
use wellspring_store::vector::choice::VectorsConfig;

use crate::audit::AuditConfig;
use crate::auth::AuthConfig;
use crate::budget::BudgetConfig;
use crate::duty::Duty;
use crate::fetch::FetchConfig;
use crate::http::resume::StreamsConfig;
use crate::http::{BulkConfig, FeedbackConfig, GrpcConfig};
use crate::limits::LimitsConfig;
use crate::talk::ConversationsConfig;
use crate::telemetry::TelemetryConfig;
use crate::tools::ToolsConfig;
use crate::webhooks::WebhooksConfig;

/// Everything that can be set. Unknown keys are refused with the known ones named.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The HTTP server.
    pub(crate) server: ServerConfig,
    /// The gRPC door.
    pub(crate) grpc: GrpcConfig,
    /// Who may come in.
    pub(crate) auth: AuthConfig,
    /// How long it is kept who did what.
    pub(crate) audit: AuditConfig,
    /// How much each may ask for and hold.
    pub(crate) limits: LimitsConfig,
    /// Adding documents by their address.
    pub(crate) fetch: FetchConfig,
    /// Indexes.
    pub(crate) store: SyncConfig,
    /// The engine that keeps vectors.
    pub(crate) vectors: VectorsConfig,
    /// The database that keeps catalog and blobs [default: SQLite and files in the data folder].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) postgres: Option<PostgresConfig>,
    /// Embedders, rerankers, chat models.
    pub(crate) models: ModelsConfig,
    /// Reading documents.
    pub(crate) extract: ExtractConfig,
    /// How documents of new collections are cut.
    pub(crate) chunk: ChunkConfig,
    /// Uploads, workers, jobs.
    pub(crate) ingest: IngestConfig,
    /// Search.
    pub(crate) retrieve: RetrieveConfig,
    /// Answers.
    pub(crate) answer: AnswerConfig,
    /// What paid models may cost.
    pub(crate) budget: BudgetConfig,
    /// Many documents in one upload.
    pub(crate) bulk: BulkConfig,
    /// What people say about results.
    pub(crate) feedback: FeedbackConfig,
    /// Who is told what happens to documents.
    pub(crate) webhooks: WebhooksConfig,
    /// Tools that models, people and programs may call.
    pub(crate) tools: ToolsConfig,
    /// Conversations that are kept.
    pub(crate) conversations: ConversationsConfig,
    /// Streams that can be gone on with.
    pub(crate) streams: StreamsConfig,
    /// Logs.
    pub(crate) telemetry: TelemetryConfig,
}

/// Reading documents, in child processes under limits.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExtractConfig {
    /// The PDFium library [default: the one that `make setup` fetched].
    pub(crate) pdfium: Option<PathBuf>,
    /// Child processes, and so documents read at once; 0 for one per core.
    pub(crate) children: usize,
    /// Limits on each document.
    pub(crate) limits: Limits,
}

/// The HTTP server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    /// What this process is there for.
    pub(crate) role: Duty,
    /// Address and port; only a loopback address while `auth.mode` is `off`.
    pub(crate) listen: String,
    /// Largest JSON body in bytes (uploads have their own limit, `ingest.max_upload_bytes`).
    pub(crate) max_json_bytes: usize,
    /// Seconds a request may take, streams and uploads excepted.
    pub(crate) request_timeout_seconds: u64,
    /// Requests in progress at once; more are answered 503 with `Retry-After`.
    pub(crate) max_concurrent_requests: usize,
    /// Seconds that requests and jobs in flight are given at shutdown.
    pub(crate) shutdown_seconds: u64,
    /// Further `Host` names (with port if not the default one) that requests may carry beside the loopback names.
    pub(crate) allowed_hosts: Vec<String>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            role: Duty::default(),
            listen: "127.0.0.1:8080".to_owned(),
            max_json_bytes: 16 << 20,
            request_timeout_seconds: 60,
            max_concurrent_requests: 256,
            shutdown_seconds: 10,
            allowed_hosts: Vec::new(),
        }
    }
}

const PREFIX: &str = "WELLSPRING__";

/// Reads the configuration. `variables` is the environment, passed in so that tests need not change their own.
pub(crate) fn load(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> anyhow::Result<Config> {
    checked(table(file, variables)?)
}

/// What a file and the environment say, not yet checked: what `eval` lays its switches over.
pub(crate) fn table(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> anyhow::Result<toml::Table> {
    let mut table = match file {
        Some(path) => {
            let text = fs_err::read_to_string(path).context("the configuration file can't be read")?;
            text.parse::<toml::Table>().with_context(|| format!("{} is not valid TOML", path.display()))?
        }
        None => toml::Table::new(),
    };
    let mut known = Vec::new();
    for (name, value) in variables {
        let Some(path) = name.strip_prefix(PREFIX) else {
            known.push((name, value));
            continue;
        };
        let keys: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        set(&mut table, &keys, &value).with_context(|| format!("{name} can't be used"))?;
    }
    // Whether its key is of use depends on the address.
    known.sort_by_key(|(name, _)| name == "QDRANT_API_KEY");
    for (name, value) in known {
        known_variable(&mut table, &name, value.trim());
    }
    Ok(table)
}

/// Lays one table over another: sections are merged, everything else is replaced. A fusion method is replaced whole, since
/// its parameters belong to it.
pub(crate) fn overlay(table: &mut toml::Table, over: &toml::Table) {
    for (key, value) in over {
        match (table.get_mut(key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(over)) if !over.contains_key("method") => {
                overlay(inner, over);
            }
            _ => {
                table.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Checks a table and fills in the defaults.
pub(crate) fn checked(table: toml::Table) -> anyhow::Result<Config> {
    let config: Config = serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().message().to_owned();
        let meant = meant(&message).map(|key| format!("; did you mean `{key}`?")).unwrap_or_default();
        anyhow::anyhow!("the configuration is wrong at `{path}`: {message}{meant}")
    })?;
    config.server.check()?;
    config.limits.check()?;
    config.auth.users.check()?;
    config.audit.check()?;
    config.telemetry.traces.check()?;
    if let Some(jwt) = &config.auth.jwt {
        jwt.check()?;
    }
    config.webhooks.check()?;
    config.chunk.validate().context("the configuration is wrong at `chunk`")?;
    config.retrieve.check().context("the configuration is wrong at `retrieve`")?;
    config.answer.check().context("the configuration is wrong at `answer`")?;
    Ok(config)
}

/// The known name nearest to an unknown one, out of serde's message (``unknown field `listn`, expected one of `listen`, …``).
/// `None` where none is near, or the message is another one.
fn meant(message: &str) -> Option<&str> {
    let mut names = message.strip_prefix("unknown ")?.split('`').skip(1).step_by(2);
    let wrong = names.next()?;
    names
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)))
        .map(|(_, name)| name)
}

/// Below this Jaro-Winkler similarity a name is another word and no slip of the finger.
const ALIKE: f64 = 0.8;

/// Takes over a variable that other programs of the trade read, too, where the configuration says nothing itself.
fn known_variable(table: &mut toml::Table, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    let (provider, key) = match name {
        "DATABASE_URL" => return database_url(table, value),
        "QDRANT_URL" | "QDRANT_API_KEY" => return qdrant(table, name, value),
        "OPENAI_API_KEY" => ("openai", "api_key"),
        "OPENAI_BASE_URL" => ("openai", "base_url"),
        "ANTHROPIC_API_KEY" => ("anthropic", "api_key"),
        "COHERE_API_KEY" => ("cohere", "api_key"),
        "JINA_API_KEY" => ("jina", "api_key"),
        _ => return,
    };
    let mut place = Some(table);
    for section in ["models", "providers", provider] {
        // What is no table is refused when the whole is checked.
        place = place.and_then(|table| {
            table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new())).as_table_mut()
        });
    }
    if let Some(table) = place {
        table.entry(key).or_insert_with(|| toml::Value::String(value.to_owned()));
    }
}

/// Other programs of a machine may use another kind of database by this name: only PostgreSQL's is meant for us.
fn database_url(table: &mut toml::Table, value: &str) {
    if !value.starts_with("postgres://") && !value.starts_with("postgresql://") {
        return;
    }
    let place = table.entry("postgres").or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if let Some(table) = place.as_table_mut() {
        table.entry("url").or_insert_with(|| toml::Value::String(value.to_owned()));
    }
}

/// A key without an address is somebody else's: it is left alone.
fn qdrant(table: &mut toml::Table, name: &str, value: &str) {
    let mut server = Some(table);
    for section in ["vectors", "qdrant"] {
        server = server.and_then(|table| match name {
            "QDRANT_API_KEY" => table.get_mut(section)?.as_table_mut(),
            _ => {
                table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new())).as_table_mut()
            }
        });
    }
    let key = if name == "QDRANT_API_KEY" { "api_key" } else { "url" };
    if let Some(server) = server {
        server.entry(key).or_insert_with(|| toml::Value::String(value.to_owned()));
    }
}

impl ServerConfig {
    /// Limits of 0 would refuse everything.
    fn check(&self) -> anyhow::Result<()> {
        for (key, value) in [
            ("max_json_bytes", self.max_json_bytes as u64),
            ("request_timeout_seconds", self.request_timeout_seconds),
            ("max_concurrent_requests", self.max_concurrent_requests as u64),
        ] {
            if value == 0 {
                bail!("the configuration is wrong at `server.{key}`: it must be 1 or more");
            }
        }
        Ok(())
    }
}

/// Puts a variable's value at its place: as TOML if it reads as TOML (numbers, booleans, lists), else as a string.
pub(crate) fn set(table: &mut toml::Table, keys: &[String], value: &str) -> anyhow::Result<()> {
    match keys {
        [] => bail!("the name ends after the prefix"),
        [last] => {
            let parsed = format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("v"));
            table.insert(last.clone(), parsed.unwrap_or_else(|| toml::Value::String(value.to_owned())));
            Ok(())
        }
        [first, rest @ ..] => {
            let entry = table.entry(first.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            match entry {
                toml::Value::Table(inner) => set(inner, rest, value),
                _ => bail!("`{first}` is a value, not a section"),
            }
        }
    }
}

/// The data folder where none is named: `$XDG_DATA_HOME/wellspring`.
pub(crate) fn default_data_folder() -> anyhow::Result<PathBuf> {
    let strategy =
        etcetera::choose_base_strategy().context("no home folder: name a data folder with --data")?;
    Ok(strategy.data_dir().join("wellspring"))
}

#[cfg(test)]
mod tests {
    use wellspring_models::Secret;
    use wellspring_models::registry::Providers;

    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn variables_win_over_the_file_and_keep_their_types() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.toml");
        fs_err::write(&file, "[server]\nlisten = \"127.0.0.1:1\"\nmax_json_bytes = 5\n").unwrap();
        let config =
            load(Some(&file), variables(&[("WELLSPRING__SERVER__LISTEN", "127.0.0.1:2"), ("OTHER", "x")]))
                .unwrap();
        assert_eq!(config.server.listen, "127.0.0.1:2");
        assert_eq!(config.server.max_json_bytes, 5);
        let config =
            load(None, variables(&[("WELLSPRING__SERVER__ALLOWED_HOSTS", "[\"a\", \"b\"]")])).unwrap();
        assert_eq!(config.server.allowed_hosts, ["a", "b"]);
    }

    #[test]
    fn well_known_variables_fill_what_is_not_configured() {
        let config = load(
            None,
            variables(&[
                ("OPENAI_API_KEY", "sk-1"),
                ("OPENAI_BASE_URL", "http://127.0.0.1:1/v1"),
                ("ANTHROPIC_API_KEY", "sk-env"),
                ("COHERE_API_KEY", "co-1"),
                ("WELLSPRING__MODELS__PROVIDERS__ANTHROPIC__API_KEY", "sk-own"),
            ]),
        )
        .unwrap();
        let Providers { openai, anthropic, cohere, .. } = config.models.providers;
        assert_eq!(
            (openai.api_key, openai.base_url.as_str()),
            (Some(Secret::new("sk-1")), "http://127.0.0.1:1/v1")
        );
        assert_eq!(anthropic.api_key, Some(Secret::new("sk-own")), "what is configured wins");
        assert_eq!(cohere.api_key, Some(Secret::new("co-1")));
        assert_eq!(
            load(None, variables(&[("OPENAI_API_KEY", " ")])).unwrap().models.providers,
            Providers::default()
        );
    }

    #[test]
    fn a_database_is_taken_from_the_environment_and_its_password_is_never_shown() {
        let url = "postgres://ada:secret@db.example:5432/docs";
        let config = load(None, variables(&[("DATABASE_URL", url)])).unwrap();
        let shown = toml::to_string(&config).unwrap();
        assert!(shown.contains("db.example") && !shown.contains("secret"), "{shown}");
        assert_eq!(config.postgres.unwrap().url, url);
        let own = load(
            None,
            variables(&[
                ("DATABASE_URL", url),
                ("WELLSPRING__POSTGRES__URL", "postgres://own/docs"),
                ("WELLSPRING__POSTGRES__MAX_CONNECTIONS", "4"),
            ]),
        );
        let own = own.unwrap().postgres.unwrap();
        assert_eq!((own.url.as_str(), own.max_connections), ("postgres://own/docs", 4));
        assert_eq!(load(None, variables(&[("DATABASE_URL", "mysql://x/y")])).unwrap().postgres, None);
    }

    #[test]
    fn qdrant_is_taken_from_the_environment_and_its_key_is_never_shown() {
        let pairs = [("QDRANT_API_KEY", "secret"), ("QDRANT_URL", "https://q.example:6334")];
        let config = load(None, variables(&pairs)).unwrap();
        let shown = toml::to_string(&config).unwrap();
        assert!(shown.contains("q.example") && !shown.contains("secret"), "{shown}");
        let server = config.vectors.qdrant.unwrap();
        assert_eq!(
            (server.url.as_str(), server.api_key.as_deref()),
            ("https://q.example:6334", Some("secret"))
        );
        assert_eq!(load(None, variables(&pairs[..1])).unwrap().vectors, VectorsConfig::default());
        let refused = load(None, variables(&[("WELLSPRING__VECTORS__ENGINE", "quadrant")])).unwrap_err();
        assert!(refused.to_string().contains("vectors.engine"), "{refused}");
    }

    #[test]
    fn unknown_keys_and_wrong_types_name_the_place() {
        let error = load(None, variables(&[("WELLSPRING__SERVER__LISTN", "x")])).unwrap_err().to_string();
        assert!(error.contains("`server.listn`") && error.ends_with("did you mean `listen`?"), "{error}");
        let error = load(None, variables(&[("WELLSPRING__SERVER__COLOUR", "x")])).unwrap_err().to_string();
        assert!(error.contains("colour") && !error.contains("did you mean"), "{error}");
        let error =
            load(None, variables(&[("WELLSPRING__SERVER__MAX_JSON_BYTES", "many")])).unwrap_err().to_string();
        assert!(error.contains("server.max_json_bytes"), "{error}");
    }

    #[test]
    fn tables_are_laid_over_each_other() {
        let mut table: toml::Table =
            "[retrieve]\ndepth = 7\nfusion = { method = 'rrf', k = 9 }".parse().unwrap();
        let over =
            "retrieve.fusion = { method = 'convex', weight = 0.3 }\nstore.flat_form = 'f32'".parse().unwrap();
        overlay(&mut table, &over);
        let config = checked(table).unwrap();
        assert_eq!(config.retrieve.depth, 7);
        assert_eq!(config.retrieve.fusion, wellspring_retrieve::Fusion::default().with_weight(0.3));
    }

    #[test]
    fn defaults_survive_a_round_trip() {
        let text = toml::to_string(&Config::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.toml");
        fs_err::write(&file, text).unwrap();
        load(Some(&file), []).unwrap();
    }
}
