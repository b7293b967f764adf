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
async fn action_interactions_of_format_1_get_a_tracking_id_that_stays() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.db");
    let pool = raw(&file).await;
    sqlx::raw_sql(include_str!("format_1.sql")).execute(&pool).await.unwrap();
    let rows = "INSERT INTO schema VALUES ('arn:aws:personalize:r:1:schema/s', 's', '{}', NULL, 1, 1);
        INSERT INTO dataset_group VALUES ('arn:aws:personalize:r:1:dataset-group/g', 'g', NULL, 'ACTIVE', 1, 1);
        INSERT INTO dataset (arn, name, group_arn, dataset_type, schema_arn, layout, status, flushed_position,
        created_ms, updated_ms) VALUES ('arn:aws:personalize:r:1:dataset/g/ACTION_INTERACTIONS', 'd',
        'arn:aws:personalize:r:1:dataset-group/g', 'ACTION_INTERACTIONS', 'arn:aws:personalize:r:1:schema/s',
        '{\"dataset_type\":\"ACTION_INTERACTIONS\",\"schema_version\":1,\"columns\":[{\"field_id\":1,
        \"name\":\"USER_ID\",\"kind\":\"string\",\"nullable\":false}]}', 'ACTIVE', 0, 1, 1)";
    sqlx::raw_sql(rows).execute(&pool).await.unwrap();
    pool.close().await;
    let arn = model::Arn::parse("arn:aws:personalize:r:1:dataset/g/ACTION_INTERACTIONS").unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let catalog = open(&file).await.unwrap();
        let dataset = catalog.dataset(&arn).await.unwrap().unwrap();
        assert_eq!(dataset.layout.columns[0].since, 1);
        let id = dataset.tracking_id.unwrap();
        assert_eq!(catalog.dataset_tracked(&id).await.unwrap().unwrap().id, dataset.id);
        ids.push(id);
        catalog.close().await;
    }
    assert_eq!(ids[0], ids[1]);
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
