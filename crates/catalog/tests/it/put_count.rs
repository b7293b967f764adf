//! Counts of puts: added up by minute and day, forgotten with their dataset and when they are old.

use catalog::PutCount;

use super::*;

impl Stage {
    async fn count(&self, minute: i64, records: u64) {
        let count = PutCount { dataset_id: self.id().await, minute, records, last_ms: minute * 60_000 + 7 };
        self.catalog.add_put_counts(&[count]).await.unwrap();
    }

    /// Day, number and time of what was put last.
    async fn last(&self) -> Option<(i64, u64, i64)> {
        let row = self.catalog.contents(&self.dataset).await.unwrap().unwrap();
        row.last_puts.map(|puts| (puts.day, puts.records, puts.last_ms))
    }
}

#[tokio::test]
async fn counts_add_up_by_minute_and_by_the_last_day() {
    let stage = Stage::set().await;
    assert_eq!(stage.last().await, None);
    for (minute, records) in [(1438, 5), (1439, 1), (1439, 2), (1440, 4)] {
        stage.count(minute, records).await;
    }
    let id = stage.id().await;
    assert_eq!(stage.catalog.put_counts(id, 1439).await.unwrap(), [(1439, 3), (1440, 4)]);
    assert_eq!(stage.last().await, Some((1, 4, 1440 * 60_000 + 7)));
    // What comes late belongs to a day that is over.
    stage.count(1400, 9).await;
    assert_eq!(stage.last().await, Some((1, 4, 1440 * 60_000 + 7)));
    stage.count(1441, 1).await;
    assert_eq!(stage.last().await, Some((1, 5, 1441 * 60_000 + 7)));
}

#[tokio::test]
async fn old_counts_are_forgotten_and_the_last_day_is_not() {
    let stage = Stage::set().await;
    stage.count(10, 1).await;
    stage.count(20, 2).await;
    stage.catalog.forget_put_counts(20).await.unwrap();
    let id = stage.id().await;
    assert_eq!(stage.catalog.put_counts(id, 0).await.unwrap(), [(20, 2)]);
    stage.catalog.forget_put_counts(21).await.unwrap();
    assert_eq!(stage.last().await, Some((0, 3, 20 * 60_000 + 7)));
}

#[tokio::test]
async fn a_dataset_that_is_gone_has_no_counts() {
    let stage = Stage::set().await;
    stage.count(10, 1).await;
    let id = stage.id().await;
    stage.catalog.delete_dataset(&stage.dataset).await.unwrap();
    let late = PutCount { dataset_id: id, minute: 11, records: 1, last_ms: 0 };
    stage.catalog.add_put_counts(&[late]).await.unwrap();
    assert!(stage.catalog.put_counts(id, 0).await.unwrap().is_empty());
}
