//! Where a catalog under test lies: in a file of its own, or in a database of its own on a server that all tests share.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use catalog::Catalog;
use model::clock::SimulatedClock;
use sqlx::Connection;
use sqlx::postgres::PgConnection;

/// The variable that moves all places to the server.
pub const ON_SERVER: &str = "LADE_TEST_ON_SERVER";

pub enum Place {
    Folder(tempfile::TempDir),
    Database(String),
}

impl Place {
    /// A new one, with nothing in it.
    pub async fn new() -> Place {
        let elsewhere = if std::env::var_os(ON_SERVER).is_some() { Place::on_server().await } else { None };
        elsewhere.unwrap_or_else(|| Place::Folder(tempfile::tempdir().unwrap()))
    }

    /// A new one on a server; none where no server is installed, which a CI has to have.
    pub async fn on_server() -> Option<Place> {
        let Some(programs) = programs() else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "no PostgreSQL 15 or newer is installed");
            // Said to the person past the tests' own capture.
            let _ = writeln!(std::io::stderr(), "left out, for no PostgreSQL 15 or newer is installed");
            return None;
        };
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("lade_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut server = connect(&url(&programs, "postgres")).await;
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create).execute(&mut server).await.unwrap();
        Some(Place::Database(url(&programs, &name)))
    }

    pub async fn open(&self, clock: Arc<SimulatedClock>) -> model::Result<Catalog> {
        match self {
            Place::Folder(folder) => Catalog::open(&folder.path().join("c.db"), clock).await,
            Place::Database(url) => Ok(Catalog::open_postgres(url, clock).await?.by_own_clock()),
        }
    }

    /// Opens it as one node among others.
    pub async fn join(&self, clock: Arc<SimulatedClock>) -> model::Result<Catalog> {
        match self {
            Place::Folder(folder) => Catalog::join(&folder.path().join("c.db"), clock).await,
            Place::Database(_) => self.open(clock).await,
        }
    }

    /// Runs statements beside the catalog.
    pub async fn run(&self, sql: &'static str) {
        match self {
            Place::Folder(folder) => {
                let file = folder.path().join("c.db");
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
                let mut file = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut file).await.unwrap();
                file.close().await.unwrap();
            }
            Place::Database(url) => {
                let mut server = PgConnection::connect(url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut server).await.unwrap();
            }
        }
    }
}

/// Connects, once the server has started: its socket is there a little before.
async fn connect(url: &str) -> PgConnection {
    let is_starting = |cause: &sqlx::Error| {
        cause.as_database_error().is_some_and(|told| told.code().as_deref() == Some("57P03"))
    };
    for _ in 0..3000 {
        match PgConnection::connect(url).await {
            Err(cause) if is_starting(&cause) => tokio::time::sleep(Duration::from_millis(20)).await,
            connected => return connected.unwrap(),
        }
    }
    panic!("the server does not start");
}

fn url(programs: &Path, database: &str) -> String {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    let folder = SERVER.get_or_init(|| start(programs)).display();
    format!("postgres:///{database}?host={folder}&user=postgres")
}

/// Starts a server that ends with this process, and answers on a socket in the folder that is returned.
fn start(programs: &Path) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("lade-catalog-postgres-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    // The server won't run as root.
    let is_root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0;
    let mut server = Command::new("setpriv");
    if is_root {
        assert!(Command::new("chown").arg("postgres:").arg(&folder).status().unwrap().success());
        server.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    server.args(["--pdeathsig=TERM", "sh", "-c"]).arg(
        "trap 'kill -INT $!' TERM; cd \"$2\"; \
         \"$1\"/initdb -D data -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync >log 2>&1; \
         \"$1\"/postgres -D data -k \"$2\" -c listen_addresses= -c fsync=off -c max_connections=500 >>log 2>&1 & \
         wait; wait; rm -rf \"$2\"",
    );
    server.arg("sh").args([programs, &folder]);
    // The server gets its signal when the thread that started it ends, which this one does with the process alone.
    std::thread::spawn(move || server.status().unwrap());
    let is_ready = || folder.join(".s.PGSQL.5432").exists();
    for _ in 0..3000 {
        if is_ready() {
            return folder;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{}", std::fs::read_to_string(folder.join("log")).unwrap_or_default());
}

/// The server's programs, the newest where there are several.
fn programs() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let all = folders.filter_map(|folder| Some(folder.ok()?.path()));
    let newest = all.filter(|path| version(path) >= Some(15)).max_by_key(|path| version(path))?;
    Some(newest.join("bin"))
}
