//! What datasets hold: sums over the runs that are listed.

use super::*;

#[tokio::test]
async fn contents_are_those_of_the_listed_runs_by_their_origin() {
    let stage = Stage::set().await;
    let empty = stage.catalog.contents(&stage.dataset).await.unwrap().unwrap();
    assert_eq!((empty.bulk.records, empty.put.records, empty.runs, empty.size_bytes), (0, 0, 0, 0));
    let id = stage.id().await;
    for (n, object) in (0..).zip(["one", "two"]) {
        let run = stage.written(Origin::Put, object).await;
        assert!(stage.catalog.finish_flush(id, n, n + 1, Some(&run)).await.unwrap());
    }
    for (name, object) in [("a", "three"), ("b", "four")] {
        stage.import(name).await;
        stage.finish_import(ImportMode::Full, object).await;
    }
    let held = stage.catalog.contents(&stage.dataset).await.unwrap().unwrap();
    assert_eq!((held.bulk.records, held.bulk.rows), (3, 2));
    assert_eq!((held.put.records, held.put.rows), (6, 4));
    assert_eq!((held.runs, held.size_bytes, held.flushed_position), (3, 15, 2));
}

#[tokio::test]
async fn a_list_tells_the_same_as_each_dataset_alone() {
    let stage = Stage::set().await;
    for name in ["h", "i"] {
        let (arn, key) = (stage.realm.dataset_group(name), None);
        let new = NewDatasetGroup { arn, name: name.into(), domain: None, key, tags: vec![] };
        stage.catalog.create_dataset_group(&new).await.unwrap();
        stage.clock.advance_ms(1);
        stage.create_dataset_in(name).await.unwrap();
    }
    let id = stage.id().await;
    assert!(
        stage.catalog.finish_flush(id, 0, 1, Some(&stage.written(Origin::Put, "one").await)).await.unwrap()
    );
    let told = |rows: Vec<catalog::ContentsRow>| {
        rows.into_iter().map(|row| (row.group_arn.resource_name().to_owned(), row.runs)).collect::<Vec<_>>()
    };
    let all = stage.catalog.all_contents(None, &Page::first(9)).await.unwrap();
    assert_eq!(told(all), [("i".to_owned(), 0), ("h".to_owned(), 0), ("g".to_owned(), 1)]);
    let group = stage.realm.dataset_group("g");
    let one = stage.catalog.all_contents(Some(&group), &Page::first(9)).await.unwrap();
    assert_eq!(told(one), [("g".to_owned(), 1)]);
    let first = stage.catalog.all_contents(None, &Page::first(1)).await.unwrap();
    let after = Some((first[0].created_ms, first[0].arn.to_string()));
    let second = stage.catalog.all_contents(None, &Page { after, limit: 9 }).await.unwrap();
    assert_eq!(told(second).len(), 2);
}
