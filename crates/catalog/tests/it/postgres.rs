//! The catalog on PostgreSQL: all that is promised on a file, and what only a server can do to it.

use std::process::Command;
use std::sync::Arc;

use catalog::{NewDatasetGroup, NewSchema};
use model::clock::SimulatedClock;
use model::{ErrorKind, Quotas, Realm};

use super::place::{ON_SERVER, Place};

fn clock(seed: u64) -> Arc<SimulatedClock> {
    Arc::new(SimulatedClock::new(1_000_000, seed))
}

fn realm() -> Realm {
    Realm { region: "us-east-1".to_owned(), account: "000000000000".to_owned() }
}

fn schema(name: &str) -> NewSchema {
    NewSchema { arn: realm().schema(name), name: name.to_owned(), document: "{}".to_owned(), domain: None }
}

/// This program once more, without what stands here.
#[tokio::test]
async fn all_that_holds_on_a_file_holds_on_a_server() {
    if Place::on_server().await.is_none() {
        return;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    let ended = again.env(ON_SERVER, "1").args(["--skip", "postgres::"]).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
}

#[tokio::test]
async fn many_processes_may_begin_at_once() {
    let Some(place) = Place::on_server().await.map(Arc::new) else { return };
    let open = |seed| {
        let place = place.clone();
        tokio::spawn(async move { place.open(clock(seed)).await.map(drop) })
    };
    for opened in (0..6).map(open).collect::<Vec<_>>() {
        opened.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_is_checked_holds_until_the_commit_whoever_else_writes() {
    let Some(place) = Place::on_server().await else { return };
    let quotas = Quotas { dataset_groups: Some(3), ..Quotas::OPEN };
    let one = place.open(clock(1)).await.unwrap().with_quotas(quotas);
    let other = place.open(clock(2)).await.unwrap().with_quotas(quotas);
    let create = |number: usize| {
        let catalog = if number.is_multiple_of(2) { one.clone() } else { other.clone() };
        let name = format!("g{number}");
        let arn = realm().dataset_group(&name);
        let new = NewDatasetGroup { arn, name, domain: None, key: None, tags: vec![] };
        tokio::spawn(async move { catalog.create_dataset_group(&new).await })
    };
    let mut made = 0;
    for created in (0..12).map(create).collect::<Vec<_>>() {
        match created.await.unwrap() {
            Ok(()) => made += 1,
            Err(refused) => assert_eq!(refused.kind, ErrorKind::LimitExceeded, "{}", refused.chain()),
        }
    }
    assert_eq!(made, 3);
}

#[tokio::test]
async fn texts_sort_by_their_bytes() {
    let Some(place) = Place::on_server().await else { return };
    let catalog = place.open(clock(1)).await.unwrap();
    for name in ["b", "B", "a-b", "aa", "_"] {
        catalog.create_schema(&schema(name)).await.unwrap();
    }
    let rows = catalog.schemas(&catalog::Page::first(9)).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["B", "_", "a-b", "aa", "b"]);
}

#[tokio::test]
async fn connections_that_were_cut_are_made_again() {
    let Some(place) = Place::on_server().await else { return };
    let catalog = place.open(clock(1)).await.unwrap();
    catalog.create_schema(&schema("before")).await.unwrap();
    place
        .run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
    // One call finds out, for all connections.
    let refused = catalog.create_schema(&schema("lost")).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unavailable, "{}", refused.chain());
    catalog.create_schema(&schema("after")).await.unwrap();
    assert_eq!(catalog.schemas(&catalog::Page::first(9)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn tables_may_be_brought_forward_while_others_read_them() {
    let Some(place) = Place::on_server().await else { return };
    let catalog = place.open(clock(1)).await.unwrap();
    catalog.create_schema(&schema("s")).await.unwrap();
    let arn = realm().schema("s");
    for _ in 0..20 {
        catalog.schema(&arn).await.unwrap();
    }
    place.run("ALTER TABLE schema ADD COLUMN later TEXT").await;
    let refused = catalog.schema(&arn).await.err().unwrap();
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    for _ in 0..20 {
        catalog.schema(&arn).await.unwrap();
    }
}

#[tokio::test]
async fn a_text_that_the_server_can_not_keep_is_refused_as_such() {
    let Some(place) = Place::on_server().await else { return };
    let catalog = place.open(clock(1)).await.unwrap();
    let refused = catalog.tracked("nul\0").await.err().unwrap();
    assert_eq!(refused.kind, ErrorKind::Invalid, "{}", refused.chain());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_without_its_address() {
    let opened = catalog::Catalog::open_postgres("postgres://me:hidden@127.0.0.1:1/lade", clock(1)).await;
    let refused = opened.err().unwrap();
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    assert!(!refused.chain().contains("hidden"), "{}", refused.chain());
}

#[tokio::test]
async fn secrets_can_be_replaced() {
    let Some(place) = Place::on_server().await else { return };
    let catalog = place.open(clock(1)).await.unwrap();
    let user = catalog::user::UserRow {
        arn: model::Arn::parse("arn:aws:iam::000000000000:user/u").unwrap(),
        id: "AIDA".to_owned(),
        name: "u".to_owned(),
        path: "/".to_owned(),
        tags: vec![],
        created_ms: 0,
    };
    catalog.create_user(&user).await.unwrap();
    catalog.create_access_key("u", "AKIA", |_| "clear".to_owned(), 2).await.unwrap();
    let mut secrets = catalog.stored_secrets().await.unwrap();
    "sealed".clone_into(&mut secrets[0].text);
    catalog.replace_secrets(&secrets).await.unwrap();
    assert_eq!(catalog.live_keys().await.unwrap()[0].sealed_secret, "sealed");
}

#[tokio::test]
async fn a_catalog_of_format_3_gets_the_tables_of_export_schedules() {
    let Some(place) = Place::on_server().await else { return };
    place.open(clock(1)).await.unwrap().close().await;
    place.run("DROP TABLE export_schedule; DROP TABLE scheduled_export; UPDATE format SET number = 3").await;
    let catalog = place.open(clock(1)).await.unwrap();
    assert!(catalog.export_schedules().await.unwrap().is_empty());
    assert!(!catalog.has_scheduled_export("nightly", 0).await.unwrap());
}
