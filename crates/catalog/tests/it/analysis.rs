//! Analyses of groups: one at a time, the last result kept, and nothing kept of records that go.

use catalog::{AnalysisRow, JobRow};

use super::*;

impl Stage {
    fn group(&self) -> Arn {
        self.realm.dataset_group("g")
    }

    async fn analyze(&self, id: &str) -> model::Result<()> {
        self.catalog.create_analysis(&self.realm.analysis(id), &self.group()).await
    }

    async fn analysis(&self) -> (Option<JobRow>, Option<AnalysisRow>) {
        self.catalog.analysis(&self.group()).await.unwrap()
    }

    /// Claims the analysis that waits, and pins the group at a position of the log.
    async fn begin(&self, position: u64) -> Lease {
        let (job, lease) = self.catalog.claim(1000).await.unwrap().unwrap();
        assert_eq!(job.kind, JobKind::Analysis);
        let durable = || model::Durable { position, sequence: 0 };
        self.catalog.pin_group(&lease, &self.group(), durable).await.unwrap();
        lease
    }

    async fn finish(&self, lease: &Lease, result: &str) -> model::Result<()> {
        let row = AnalysisRow {
            dataset_id: self.id().await,
            result: result.into(),
            rows: 2,
            started_ms: 1,
            taken_ms: 2,
            finished_ms: 3,
        };
        self.catalog.finish_analysis(lease, &self.group(), &row, Progress::default()).await
    }

    async fn result(&self) -> Option<String> {
        self.analysis().await.1.map(|row| String::from_utf8(row.result).unwrap())
    }
}

#[tokio::test]
async fn one_analysis_of_a_group_is_open_and_the_last_result_stays_while_another_runs() {
    let stage = Stage::set().await;
    stage.analyze("a").await.unwrap();
    stage.analyze("b").await.unwrap();
    let (job, result) = stage.analysis().await;
    assert_eq!(job.unwrap().arn, stage.realm.analysis("a"));
    assert_eq!(result, None);
    let lease = stage.begin(0).await;
    assert!(stage.catalog.claim(1000).await.unwrap().is_none());
    stage.finish(&lease, "first").await.unwrap();
    stage.analyze("c").await.unwrap();
    let lease = stage.begin(0).await;
    assert_eq!(lease.arn, stage.realm.analysis("c"));
    assert_eq!(stage.result().await.as_deref(), Some("first"));
    stage.catalog.fail_job(&lease, "no", None).await.unwrap();
    let (job, _) = stage.analysis().await;
    assert_eq!(job.unwrap().failure_reason.as_deref(), Some("no"));
    assert_eq!(stage.result().await.as_deref(), Some("first"));
    stage.analyze("d").await.unwrap();
    let lease = stage.begin(0).await;
    stage.finish(&lease, "second").await.unwrap();
    assert_eq!(stage.result().await.as_deref(), Some("second"));
    // One row a group.
    assert_eq!(stage.catalog.jobs(JobKind::Analysis, None, &Page::first(10)).await.unwrap().len(), 1);
    // Nobody is told of them as of jobs.
    assert_eq!(stage.catalog.last_event().await.unwrap(), 0);
    assert!(
        stage.catalog.all_jobs(&catalog::JobFilter::default(), &Page::first(10)).await.unwrap().is_empty()
    );
}

#[tokio::test]
async fn an_analysis_pins_runs_and_log_until_it_ends() {
    let stage = Stage::set().await;
    let id = stage.id().await;
    assert!(
        stage.catalog.finish_flush(id, 0, 10, Some(&stage.written(Origin::Put, "one").await)).await.unwrap()
    );
    stage.analyze("a").await.unwrap();
    let lease = stage.begin(30).await;
    assert_eq!(stage.catalog.lowest_pinned_position().await.unwrap(), Some(10));
    let runs = stage.catalog.pinned_runs(&lease.arn).await.unwrap();
    assert_eq!(runs.iter().map(|row| row.run.object.as_str()).collect::<Vec<_>>(), ["one"]);
    assert!(
        stage
            .catalog
            .finish_compaction(id, &[runs[0].id], &stage.written(Origin::Put, "two").await)
            .await
            .unwrap()
    );
    assert!(stage.catalog.retired_runs().await.unwrap().is_empty());
    stage.finish(&lease, "done").await.unwrap();
    assert_eq!(stage.catalog.lowest_pinned_position().await.unwrap(), None);
    assert_eq!(stage.catalog.retired_runs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_analysis_is_begun_again_after_a_restart() {
    let stage = Stage::set().await;
    stage.analyze("a").await.unwrap();
    let lost = stage.begin(5).await;
    let again = stage.restart().await;
    let stage = Stage { catalog: again, ..stage };
    assert_eq!(stage.finish(&lost, "late").await.unwrap_err().kind, ErrorKind::InUse);
    let lease = stage.begin(7).await;
    stage.finish(&lease, "done").await.unwrap();
    assert_eq!(stage.result().await.as_deref(), Some("done"));
}

#[tokio::test]
async fn a_data_deletion_job_takes_the_result_away_and_an_open_analysis_begins_again() {
    let stage = Stage::set().await;
    stage.analyze("a").await.unwrap();
    let lease = stage.begin(0).await;
    stage.finish(&lease, "with the deleted").await.unwrap();
    stage.analyze("b").await.unwrap();
    let lost = stage.begin(0).await;
    stage.delete_from_group("d").await;
    let (_, deletion) = stage.catalog.claim(1000).await.unwrap().unwrap();
    stage.catalog.set_deleted(&deletion, 0, None, vec![], Progress::default()).await.unwrap();
    assert_eq!(stage.result().await, None);
    assert_eq!(stage.catalog.lowest_pinned_position().await.unwrap(), None);
    assert_eq!(stage.finish(&lost, "with the deleted").await.unwrap_err().kind, ErrorKind::InUse);
    let lease = stage.begin(0).await;
    stage.finish(&lease, "without").await.unwrap();
    assert_eq!(stage.result().await.as_deref(), Some("without"));
}

#[tokio::test]
async fn nothing_is_kept_of_a_dataset_or_a_group_that_is_deleted() {
    let stage = Stage::set().await;
    stage.analyze("a").await.unwrap();
    let lease = stage.begin(0).await;
    stage.finish(&lease, "of the dataset").await.unwrap();
    stage.catalog.delete_dataset(&stage.dataset).await.unwrap();
    assert!(stage.analysis().await.0.is_none() && stage.result().await.is_none());
    assert_eq!(stage.analyze("b").await.unwrap_err().kind, ErrorKind::Invalid);
    stage.create_dataset().await.unwrap();
    stage.analyze("c").await.unwrap();
    stage.catalog.delete_dataset(&stage.dataset).await.unwrap();
    let (_, lease) = stage.catalog.claim(1000).await.unwrap().unwrap();
    let pinned = stage.catalog.pin_group(&lease, &stage.group(), Default::default).await;
    assert_eq!(pinned.unwrap_err().kind, ErrorKind::Invalid);
    stage.catalog.delete_dataset_group(&stage.group()).await.unwrap();
    assert_eq!(stage.catalog.job(&lease.arn).await.unwrap().map(|job| job.arn), None);
    assert_eq!(stage.analyze("d").await.unwrap_err().kind, ErrorKind::NotFound);
}
