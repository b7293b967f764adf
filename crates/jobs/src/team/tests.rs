use std::sync::Mutex;

use catalog::{ExportRequest, JobRow, NewJob, TaskRow, TaskState};
use model::IngestionMode;
use model::clock::SimulatedClock;
use store::disk::simulated::SimulatedDisk;
use tokio::runtime::Handle;

use super::*;
use crate::runner::Running;
use crate::simulation::house::{House, Shared, Stage, dataset_arn, realm};
use crate::simulation::machine::Machine;
use crate::{Settings, task};

fn settings() -> Settings {
    Settings {
        jobs_concurrent: 1,
        attempts_max: 3,
        job_memory_bytes: 8 << 20,
        jobs_memory_bytes: 64 << 20,
        threads: 1,
        rejects_told_max: 10,
        import_task_bytes: 256 << 20,
        file_size_bytes_max: 1 << 30,
        flush_after_s: 300,
        flush_size_bytes: 64 << 20,
        log_size_bytes: 512 << 20,
    }
}

async fn house(folder: &tempfile::TempDir) -> House {
    let stage = Stage {
        folder: folder.path().to_owned(),
        clock: Arc::new(SimulatedClock::new(1_700_000_000_000, 1)),
        log: SimulatedDisk::default(),
        objects: SimulatedDisk::default(),
        settings: settings(),
        segment_bytes: 4000,
    };
    let runtime = Handle::current();
    let shared = tokio::task::spawn_blocking(move || Shared::get(&runtime)).await.unwrap();
    stage.set(shared);
    House::open(&stage, shared, &Arc::new(Machine::default()), || 0).await.unwrap()
}

async fn claimed(parts: &Parts) -> (JobRow, Lease) {
    let request = ExportRequest {
        path: "s3://b/out".to_owned(),
        ingestion_mode: IngestionMode::All,
        kms_key_arn: None,
        manifest: true,
        options: Default::default(),
        since: None,
    };
    let (arn, name, role_arn) = (realm().export_job("e"), "e".to_owned(), String::new());
    let new = NewJob { arn, name, subject_arn: dataset_arn(0), role_arn, request, tags: Vec::new() };
    let log = parts.log.clone();
    parts.catalog.create_export_job(&new, move || log.settled()).await.unwrap();
    parts.catalog.claim(60_000).await.unwrap().unwrap()
}

fn works(count: i64) -> Vec<(i64, Work)> {
    let portion = engine::export::Portion::whole(1);
    (0..count).map(|number| (number, Work::Export(portion))).collect()
}

/// Answers as it is told, call by call, and keeps what it was asked.
struct Told {
    asked: Mutex<Vec<Vec<i64>>>,
    answers: fn(call: usize, &Task) -> Vec<TaskOutcome>,
}

impl Runner for Told {
    fn run(&self, tasks: Vec<String>) -> Running<'_> {
        let tasks: Vec<Task> = tasks.iter().map(|task| serde_json::from_str(task).unwrap()).collect();
        let mut asked = self.asked.lock().unwrap();
        let call = asked.len();
        asked.push(tasks.iter().map(|task| task.number).collect());
        let answer = |task: &Task, outcome| {
            let (job, fence, number) = (task.job.clone(), task.fence, task.number);
            serde_json::to_string(&Answer { job, fence, number, outcome }).unwrap()
        };
        let answers = tasks.iter().rev().flat_map(|task| {
            (self.answers)(call, task).into_iter().map(move |outcome| answer(task, outcome))
        });
        let answers: Vec<String> = answers.collect();
        Box::pin(async move { Ok(answers) })
    }
}

async fn done(
    house: &House,
    lease: &Lease,
    answers: fn(usize, &Task) -> Vec<TaskOutcome>,
) -> (Result<Vec<i64>>, Vec<Vec<i64>>) {
    let told = Arc::new(Told { asked: Mutex::default(), answers });
    let parts = Arc::new(Parts { runner: Some(told.clone()), ..(*house.parts).clone() });
    let done = run(&parts, lease, &Progress::default(), works(3)).await;
    let asked = told.asked.lock().unwrap().clone();
    (done, asked)
}

fn failed(kind: ErrorKind) -> TaskOutcome {
    TaskOutcome::Failed { kind, message: format!("{kind:?}") }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_missing_is_handed_out_again() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(&folder).await;
    let (_, lease) = claimed(&house.parts).await;
    let (found, asked) = done(&house, &lease, |call, task| match (call, task.number) {
        (0, 1) => vec![],
        (0, 2) => vec![failed(ErrorKind::Unavailable)],
        // Done twice, once in vain.
        _ => vec![TaskOutcome::Done((task.number * 10).into()), failed(ErrorKind::Internal)],
    })
    .await;
    assert_eq!(found.unwrap(), [0, 10, 20]);
    assert_eq!(asked, [vec![0, 1, 2], vec![1, 2]]);
    assert_eq!(house.parts.catalog.job(&lease.arn).await.unwrap().unwrap().attempts, 2);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_refusal_ends_it_and_faults_do_when_no_attempts_are_left() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(&folder).await;
    let (_, lease) = claimed(&house.parts).await;
    let (found, asked) = done(&house, &lease, |_, task| match task.number {
        0 => vec![failed(ErrorKind::Unavailable)],
        1 => vec![failed(ErrorKind::Denied)],
        _ => vec![failed(ErrorKind::Corrupt)],
    })
    .await;
    assert_eq!((found.unwrap_err().kind, asked.len()), (ErrorKind::Denied, 1));
    let (found, asked) = done(&house, &lease, |_, _| vec![failed(ErrorKind::InUse)]).await;
    assert_eq!((found.unwrap_err().kind, asked.len()), (ErrorKind::InUse, 3));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_a_lost_lease_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(&folder).await;
    let (parts, catalog) = (&house.parts, &house.parts.catalog);
    let (_, lost) = claimed(parts).await;
    catalog.retry_later(&lost, 0).await.unwrap();
    let (_, held) = catalog.claim(60_000).await.unwrap().unwrap();
    let work = works(1).remove(0).1;
    let task = Task { job: lost.arn.to_string(), fence: lost.fence, number: 0, work };
    let answer: Answer = serde_json::from_str(&task::run(parts, text(&task).unwrap()).await).unwrap();
    assert!(matches!(answer.outcome, TaskOutcome::Failed { kind: ErrorKind::InUse, .. }));
    assert!(catalog.job_tasks(&lost.arn).await.unwrap().is_empty());
    assert_eq!(catalog.record_upload(&lost, "k", "u1").await.unwrap_err().kind, ErrorKind::InUse);
    catalog.record_upload(&held, "k", "u2").await.unwrap();
    // Whoever ends the job makes sure that nobody writes behind its back.
    let alone = catalog.fence_off(&held).await.unwrap();
    assert_eq!(catalog.record_upload(&held, "k", "u3").await.unwrap_err().kind, ErrorKind::InUse);
    catalog.fail_job(&alone, "no", None).await.unwrap();
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_task_that_is_done_twice_the_one_that_began_last_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(&folder).await;
    let catalog = &house.parts.catalog;
    let (_, lease) = claimed(&house.parts).await;
    let row = |execution: &str, rows_done| TaskRow {
        number: 4,
        execution: execution.into(),
        executor: format!("node {execution}"),
        rows_done,
        bytes_done: 2 * rows_done,
    };
    catalog.begin_task(&lease, &row("a", 0)).await.unwrap();
    assert!(catalog.tell_task(&lease, &row("a", 5), TaskState::Running).await.unwrap());
    catalog.begin_task(&lease, &row("b", 0)).await.unwrap();
    assert!(!catalog.tell_task(&lease, &row("a", 9), TaskState::Running).await.unwrap());
    assert!(catalog.tell_task(&lease, &row("b", 3), TaskState::Done).await.unwrap());
    let sum = catalog.tasks_done(&lease.arn).await.unwrap();
    assert_eq!((sum.rows, sum.bytes, sum.tasks), (3, 6, 1));
    assert_eq!(catalog.job_tasks(&lease.arn).await.unwrap()[0].0.executor, "node b");
    catalog.begin_tasks(&lease).await.unwrap();
    assert!(catalog.job_tasks(&lease.arn).await.unwrap().is_empty());
    house.close().await;
}
