//! Catalogs of older formats are brought forward.

// A test that can't set its stage has failed.
#![allow(clippy::unwrap_used)]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use catalog::Catalog;
use model::clock::SimulatedClock;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

async fn open(file: &Path) -> model::Result<Catalog> {
    Catalog::open(file, Arc::new(SimulatedClock::new(1, 1))).await
}

async fn raw(file: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    SqlitePool::connect_with(options).await.unwrap()
}

/// Every table and index with its columns, in order.
async fn shape(file: &Path) -> Vec<(String, String)> {
    let query = "SELECT m.name, coalesce(group_concat(c.name), '') FROM sqlite_master m
        LEFT JOIN pragma_table_info(m.name) c WHERE m.name NOT LIKE 'sqlite_%' GROUP BY m.name ORDER BY m.name";
    sqlx::query_as(query).fetch_all(&raw(file).await).await.unwrap()
}

#[tokio::test]
async fn a_catalog_of_format_1_gets_the_shape_of_a_new_one_and_keeps_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    let pool = raw(&old).await;
    sqlx::raw_sql(include_str!("format_1.sql")).execute(&pool).await.unwrap();
    let rows = "INSERT INTO job (arn, name, kind, dataset_arn, dataset_id, role_arn, request, status, created_ms,
        updated_ms, attempts, fence, lease_until_ms, rows_done, rows_total, bytes_done) VALUES
        ('arn:aws:personalize:r:1:dataset-import-job/j', 'j', 'IMPORT', 'arn:aws:personalize:r:1:dataset/g/ITEMS', 7,
         'role', '{}', 'ACTIVE', 1, 1, 1, 1, 0, 0, 0, 0)";
    sqlx::raw_sql(rows).execute(&pool).await.unwrap();
    pool.close().await;
    let catalog = open(&old).await.unwrap();
    let arn = model::Arn::parse("arn:aws:personalize:r:1:dataset-import-job/j").unwrap();
    let job = catalog.job(&arn).await.unwrap().unwrap();
    assert_eq!(job.subject_arn.resource(), "dataset/g/ITEMS");
    open(&new).await.unwrap();
    assert_eq!(shape(&old).await, shape(&new).await);
    catalog.close().await;
    open(&old).await.unwrap();
}

#[tokio::test]
async fn no_other_user_of_the_machine_reads_the_catalog() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.db");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let catalog = open(&file).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap()).collect();
    assert!(files.len() > 1, "the log of changes lies beside the file");
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.file_name());
    }
    catalog.close().await;
}
