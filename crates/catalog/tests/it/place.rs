//! Where a catalog under test lies: in a file of its own, or in a database of its own on a server that all tests share.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use catalog::Catalog;
use model::clock::SimulatedClock;
use sqlx::Connection;
use sqlx::postgres::PgConnection;

/// The program `postgres` plays the same tests as `it`, on the other database.
const IS_ON_SERVER: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"postgres");

pub enum Place {
    Folder(tempfile::TempDir),
    Database(String),
}

impl Place {
    /// A new one, with nothing in it.
    pub async fn new() -> Place {
        if !IS_ON_SERVER {
            return Place::Folder(tempfile::tempdir().unwrap());
        }
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("lade_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut server = PgConnection::connect(&url("postgres")).await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create).execute(&mut server).await.unwrap();
        Place::Database(url(&name))
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

fn url(database: &str) -> String {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    let folder = SERVER.get_or_init(start).display();
    format!("postgres:///{database}?host={folder}&user=postgres")
}

/// Starts a server that ends with this process, and answers on a socket in the folder that is returned.
fn start() -> PathBuf {
    let Some(bin) = programs() else { leave_out() };
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
    server.arg("sh").args([bin.as_path(), &folder]);
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

/// Says that no test was run, and ends.
fn leave_out() -> ! {
    let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    let text =
        "left out: the tests of the catalog on PostgreSQL, for no PostgreSQL 15 or newer is installed\n";
    let _ = std::io::stderr().write_all(text.as_bytes());
    exit(i32::from(is_ci))
}
