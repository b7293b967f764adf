//! What a copy holds, and what a look at a file tells.

use super::*;

async fn file(folder: &tempfile::TempDir, sql: &str) -> std::path::PathBuf {
    let file = folder.path().join("from.db");
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    run(&mut connection, "PRAGMA journal_mode = WAL").await.unwrap();
    run(&mut connection, sql).await.unwrap();
    connection.close().await.unwrap();
    file
}

async fn number(file: &Path, sql: &str) -> i64 {
    let mut connection = look(file).await.unwrap();
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap()
}

const SHOP: &str = "PRAGMA user_version = 7;
    CREATE TABLE told (n INTEGER) STRICT;
    CREATE TABLE ware (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE place (ware INTEGER NOT NULL REFERENCES ware (id), shelf TEXT, PRIMARY KEY (ware)) STRICT, WITHOUT ROWID;
    CREATE INDEX place_shelf ON place (shelf);
    CREATE TRIGGER tell AFTER INSERT ON ware BEGIN INSERT INTO told VALUES (new.id); END;
    INSERT INTO ware (name) VALUES ('a'), ('b'), ('c');
    INSERT INTO place VALUES (1, 'x'), (2, NULL);
    DELETE FROM ware WHERE name = 'c';";

#[tokio::test]
async fn a_copy_is_of_the_moment_when_writers_were_halted() {
    let folder = tempfile::tempdir().unwrap();
    let from = file(&folder, SHOP).await;
    let to = folder.path().join("to.db");
    let mut writer = open(&from, Duration::from_millis(10)).await.unwrap();
    let mut copy = Copy::prepare(&from, &to).await.unwrap();
    run(&mut writer, "BEGIN IMMEDIATE").await.unwrap();
    assert!(!copy.halt().await.unwrap(), "somebody is writing");
    run(&mut writer, "COMMIT").await.unwrap();
    assert!(copy.halt().await.unwrap());
    run(&mut writer, "INSERT INTO ware (name) VALUES ('early')").await.unwrap_err();
    copy.hold().await.unwrap();
    copy.release().await.unwrap();
    run(&mut writer, "INSERT INTO ware (name) VALUES ('late')").await.unwrap();
    copy.write().await.unwrap();
    assert_eq!(number(&to, "SELECT count(*) FROM ware").await, 2);
    assert_eq!(number(&to, "SELECT count(*) FROM told").await, 3, "no trigger told of the copy");
    assert_eq!(number(&to, "SELECT seq FROM sqlite_sequence WHERE name = 'ware'").await, 3);
    assert_eq!((format(&to).await.unwrap(), integrity(&to).await.unwrap()), (7, None));
    let things = "SELECT count(*) FROM sqlite_master";
    assert_eq!(number(&to, things).await, number(&from, things).await);
}

#[tokio::test]
async fn what_a_crash_left_of_the_first_transaction_is_undone_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let (file, cut) = (folder.path().join("from.db"), folder.path().join("cut.db"));
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    run(&mut connection, "PRAGMA user_version = 3; CREATE TABLE t (text TEXT); INSERT INTO t VALUES ('a')")
        .await
        .unwrap();
    // So few pages in memory that the change reaches the file before its end.
    let change = "PRAGMA cache_size = 1; BEGIN; PRAGMA user_version = 9;
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
        INSERT INTO t SELECT hex(randomblob(2000)) FROM n";
    run(&mut connection, change).await.unwrap();
    std::fs::copy(&file, &cut).unwrap();
    std::fs::copy(file.with_extension("db-journal"), cut.with_extension("db-journal")).unwrap();
    assert!(std::fs::metadata(&cut).unwrap().len() > 100_000, "nothing was written before the cut");
    refuse_newer(&cut).await.unwrap();
    assert_eq!((format(&cut).await.unwrap(), integrity(&cut).await.unwrap()), (3, None));
    assert_eq!(number(&cut, "SELECT count(*) FROM t").await, 1);
}

#[tokio::test]
async fn tables_that_change_meanwhile_are_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let from = file(&folder, SHOP).await;
    let mut copy = Copy::prepare(&from, &folder.path().join("to.db")).await.unwrap();
    let mut writer = open(&from, Duration::from_secs(1)).await.unwrap();
    run(&mut writer, "ALTER TABLE ware ADD COLUMN price INTEGER").await.unwrap();
    assert!(copy.halt().await.unwrap());
    copy.hold().await.unwrap();
    copy.release().await.unwrap();
    assert_eq!(copy.write().await.unwrap_err().kind, ErrorKind::InUse);
}

#[tokio::test]
async fn another_format_is_told_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let from = file(&folder, "PRAGMA user_version = 99").await;
    let before = std::fs::read(&from).unwrap();
    assert_eq!(refuse_newer(&from).await.unwrap_err().kind, ErrorKind::Corrupt);
    assert_eq!(refuse_other(&from).await.unwrap_err().kind, ErrorKind::Corrupt);
    assert_eq!(std::fs::read(&from).unwrap(), before);
    refuse_newer(&folder.path().join("none.db")).await.unwrap();
}
