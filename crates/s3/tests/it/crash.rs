//! What is left after a crash, and what must not be.

use crate::harness::Store;

#[tokio::test]
async fn objects_and_uploads_outlive_a_restart() {
    let mut store = Store::with_bucket().await;
    store.put("/data/k", "x").await.ok();
    let id = store.multipart("/data/m", &[]).await;
    let part = store.put(&format!("/data/m?partNumber=1&uploadId={id}"), "part").await.ok();
    store.reopen().await;
    assert_eq!(store.get("/data/k").await.text(), "x");
    let list = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>",
        part.header("etag")
    );
    store.post(&format!("/data/m?uploadId={id}"), list).await.ok();
    assert_eq!(store.get("/data/m").await.text(), "part");
}

#[tokio::test]
async fn leftovers_are_removed_at_the_next_start() {
    let mut store = Store::with_bucket().await;
    store.put("/data/k", "x").await.ok();
    let root = store.folder.path().join("s3");
    std::fs::write(root.join("temp/half"), "half").unwrap();
    std::fs::write(root.join("blobs/ab/ab00000000000000000000000000ffff"), "unnamed").unwrap();
    assert_eq!(store.files(), 3);
    store.reopen().await;
    assert_eq!(store.files(), 1);
    assert_eq!(store.get("/data/k").await.text(), "x");
}

#[tokio::test]
async fn a_lost_index_does_not_cost_the_blobs() {
    let store = Store::with_bucket().await;
    store.put("/data/k", "x").await.ok();
    let dir = store.folder.path().join("s3");
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(dir.join(name));
    }
    let clock = std::sync::Arc::new(model::clock::SystemClock);
    let opened = s3::Door::open(&dir, store.access.clone(), clock, vec![]).await;
    assert!(opened.is_err());
    assert_eq!(store.files(), 1);
}

#[tokio::test]
async fn a_missing_blob_is_an_error_without_a_path() {
    let store = Store::with_bucket().await;
    store.put("/data/k", "x").await.ok();
    let blobs = store.folder.path().join("s3/blobs");
    for shelf in std::fs::read_dir(blobs).unwrap() {
        for blob in std::fs::read_dir(shelf.unwrap().path()).unwrap() {
            std::fs::remove_file(blob.unwrap().path()).unwrap();
        }
    }
    let request = http::Request::get("/data/k").header("host", "localhost");
    let request = request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    let root = access::Principal::Root { arn: store.access.realm.root() };
    let answer = store.door.call(Some(root), "id".into(), request).await;
    let error = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap_err();
    assert!(!error.to_string().contains('/'), "{error}");
}

#[tokio::test]
async fn a_folder_of_a_newer_program_is_refused() {
    let store = Store::with_bucket().await;
    let file = store.folder.path().join("s3/index.db");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&pool).await.unwrap();
    let clock = std::sync::Arc::new(model::clock::SystemClock);
    let opened = s3::Door::open(&store.folder.path().join("s3"), store.access.clone(), clock, vec![]).await;
    assert!(opened.err().unwrap().message().contains("version 99"));
}
