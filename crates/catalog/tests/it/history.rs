//! How many records a dataset had: points written with each change of its runs.

use super::*;

impl Stage {
    async fn points(&self) -> Vec<(i64, u64, u64)> {
        let points = self.catalog.history(self.id().await).await.unwrap();
        points.into_iter().map(|point| (point.at_ms, point.bulk, point.put)).collect()
    }

    async fn flush(&self, n: u64) {
        let run = self.written(Origin::Put, &format!("put{n}")).await;
        assert!(self.catalog.finish_flush(self.id().await, n, n + 1, Some(&run)).await.unwrap());
    }
}

#[tokio::test]
async fn each_change_of_the_runs_is_a_point() {
    let stage = Stage::set().await;
    assert_eq!(stage.points().await, []);
    stage.flush(0).await;
    stage.clock.advance_ms(5);
    stage.import("a").await;
    stage.finish_import(ImportMode::Full, "one").await;
    stage.clock.advance_ms(5);
    stage.import("b").await;
    stage.finish_import(ImportMode::Incremental, "two").await;
    // Of two changes at one time the last counts.
    stage.import("c").await;
    stage.finish_import(ImportMode::Full, "three").await;
    let wanted = [(1_000_000, 0, 3), (1_000_005, 3, 3), (1_000_010, 3, 3)];
    assert_eq!(stage.points().await, wanted);
    // What changes no numbers is no point: a flush of nothing, a compaction.
    let id = stage.id().await;
    stage.clock.advance_ms(5);
    assert!(stage.catalog.finish_flush(id, 1, 2, None).await.unwrap());
    let inputs: Vec<i64> = stage.catalog.runs(id).await.unwrap().iter().take(1).map(|row| row.id).collect();
    assert!(
        stage
            .catalog
            .finish_compaction(id, &inputs, &stage.written(Origin::Put, "merged").await)
            .await
            .unwrap()
    );
    assert_eq!(stage.points().await, wanted);
}

#[tokio::test]
async fn a_deletion_is_a_point() {
    let stage = Stage::set().await;
    stage.flush(0).await;
    stage.clock.advance_ms(5);
    stage.delete_from_group("a").await;
    let (_, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    let id = stage.id().await;
    let run = stage.catalog.runs(id).await.unwrap()[0].id;
    let gone = [Replacement { id: run, rest: None, deleted: 3 }];
    assert!(stage.catalog.replace_runs(&lease, id, &gone).await.unwrap());
    assert_eq!(stage.points().await, [(1_000_000, 0, 3), (1_000_005, 0, 0)]);
}

#[tokio::test]
async fn old_points_get_farther_apart_and_the_first_and_newest_stay() {
    let stage = Stage::set().await;
    for n in 0..450 {
        stage.flush(n).await;
        stage.clock.advance_ms(1);
        assert!(stage.points().await.len() <= 200);
    }
    let points = stage.points().await;
    assert!(points.len() > 100 && points.is_sorted());
    assert_eq!((points[0].0, points.last().unwrap().0), (1_000_000, 1_000_449));
    assert_eq!(points.last().unwrap().2, 3 * 450);
    let newest: Vec<i64> = points[points.len() - 100..].iter().map(|point| point.0).collect();
    assert_eq!(newest, (1_000_350..1_000_450).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_dataset_from_before_there_were_points_begins_with_what_it_has() {
    let stage = Stage::set().await;
    stage.flush(0).await;
    stage.clock.advance_ms(5);
    stage.flush(1).await;
    stage.catalog.close().await;
    stage.place.run("DROP TABLE row_history").await;
    let catalog = stage.place.open(stage.clock.clone()).await.unwrap();
    let stage = Stage { catalog, ..stage };
    assert_eq!(stage.points().await, [(1_000_005, 0, 6)]);
}

#[tokio::test]
async fn a_dataset_made_again_has_no_points() {
    let stage = Stage::set().await;
    stage.flush(0).await;
    let before = stage.id().await;
    stage.catalog.delete_dataset(&stage.dataset).await.unwrap();
    stage.create_dataset().await.unwrap();
    assert!(stage.points().await.is_empty());
    assert!(stage.catalog.history(before).await.unwrap().is_empty());
}
