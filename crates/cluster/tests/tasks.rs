//! Tasks through a scheduler and executors on loopback; each has a runtime of its own that can be killed like a process.

// A test that can't go on has failed.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cluster::{ExecutorSettings, SchedulerSettings, Work, client};
use model::ErrorKind;
use model::clock::SystemClock;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// Seconds after which a killed executor is missed.
const EXECUTOR_TIMEOUT_S: u64 = 3;

/// A scheduler or an executor.
struct Process {
    runtime: Option<Runtime>,
    stop: CancellationToken,
    ended: Option<tokio::task::JoinHandle<model::error::Result<()>>>,
}

impl Process {
    fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    fn stop(&mut self) {
        self.stop.cancel();
        let (runtime, ended) = (self.runtime.as_ref().unwrap(), self.ended.take().unwrap());
        runtime.block_on(ended).unwrap().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn scheduler(listen: &str) -> (Process, String) {
    let (runtime, stop) = (runtime(), CancellationToken::new());
    let settings =
        SchedulerSettings { listen: listen.parse().unwrap(), executor_timeout_s: EXECUTOR_TIMEOUT_S };
    let (sender, receiver) = std::sync::mpsc::channel::<SocketAddr>();
    let ready = Box::new(move |address| sender.send(address).unwrap());
    let serving = cluster::scheduler::serve(settings, ready, stop.clone());
    let ended = Some(runtime.spawn(serving));
    let address = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
    (Process { runtime: Some(runtime), stop, ended }, address.to_string())
}

/// What executors did, counted by task and by executor.
#[derive(Default)]
struct Book {
    by_task: Mutex<BTreeMap<String, usize>>,
    by_executor: Mutex<BTreeMap<usize, usize>>,
    running: AtomicUsize,
}

/// Counted while the work runs, and no longer when it is dropped.
struct Running(Arc<Book>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// `sleep MS …` sleeps, `size N …` answers with N bytes, `panic` panics; everything else is sent back.
async fn work(task: String, name: usize, book: Arc<Book>) -> String {
    book.running.fetch_add(1, Ordering::SeqCst);
    let _running = Running(book.clone());
    *book.by_task.lock().unwrap().entry(task.clone()).or_default() += 1;
    let mut words = task.split(' ');
    match (words.next().unwrap(), words.next()) {
        ("sleep", Some(ms)) => tokio::time::sleep(Duration::from_millis(ms.parse().unwrap())).await,
        ("size", Some(size)) => return "x".repeat(size.parse().unwrap()),
        ("panic", _) => panic!("asked to"),
        _ => {}
    }
    *book.by_executor.lock().unwrap().entry(name).or_default() += 1;
    format!("did {task}")
}

struct Site {
    _dir: TempDir,
    scheduler: Process,
    address: String,
    executors: Vec<Process>,
    book: Arc<Book>,
    caller: Runtime,
}

impl Site {
    fn with_executors(n: usize) -> Site {
        let (scheduler, address) = scheduler("127.0.0.1:0");
        let dir = TempDir::new().unwrap();
        let book = Arc::new(Book::default());
        let executors = (0..n).map(|name| executor(&dir, &address, name, book.clone())).collect();
        let site = Site { _dir: dir, scheduler, address, executors, book, caller: runtime() };
        site.wait_for_executors(n);
        site
    }

    fn wait_for_executors(&self, n: usize) {
        let began = Instant::now();
        while n > 0 && !about(&self.address).contains(&format!("\n{n}\n")) {
            assert!(began.elapsed() < Duration::from_secs(10), "{}", about(&self.address));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn run(&self, tasks: &[String]) -> model::error::Result<Vec<String>> {
        self.caller.block_on(client::run(&self.address, tasks.to_vec()))
    }

    fn wait_until_running(&self, n: usize) {
        let began = Instant::now();
        while self.book.running.load(Ordering::SeqCst) != n {
            assert!(began.elapsed() < Duration::from_secs(10), "never were {n} tasks running");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn executor(dir: &TempDir, address: &str, name: usize, book: Arc<Book>) -> Process {
    let (runtime, stop) = (runtime(), CancellationToken::new());
    let settings = ExecutorSettings {
        scheduler: address.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        host: None,
        tasks_concurrent: 2,
        work_dir: dir.path().join(name.to_string()),
        clock: Arc::new(SystemClock),
    };
    let work: Work = Arc::new(move |task| Box::pin(work(task, name, book.clone())));
    let ended = Some(runtime.spawn(cluster::executor::serve(settings, work, stop.clone())));
    Process { runtime: Some(runtime), stop, ended }
}

fn about(address: &str) -> String {
    use std::io::{Read, Write};
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    connection.write_all(b"GET /about HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    connection.read_to_string(&mut text).unwrap();
    text
}

fn tasks(n: usize, text: &str) -> Vec<String> {
    (0..n).map(|i| format!("{text} {i}")).collect()
}

fn did(tasks: &[String]) -> Vec<String> {
    tasks.iter().map(|task| format!("did {task}")).collect()
}

#[test]
fn two_hundred_tasks_run_once_each_and_answer_in_order() {
    let site = Site::with_executors(3);
    let tasks = tasks(200, "sleep 5");
    assert_eq!(site.run(&tasks).unwrap(), did(&tasks));
    let by_task = site.book.by_task.lock().unwrap();
    assert_eq!(by_task.len(), 200);
    assert!(by_task.values().all(|times| *times == 1), "{by_task:?}");
    let by_executor = site.book.by_executor.lock().unwrap();
    assert!(by_executor.len() >= 2, "{by_executor:?}");
}

#[test]
fn one_task_and_a_result_of_a_mebibyte_come_through() {
    let site = Site::with_executors(1);
    assert_eq!(site.run(&["size 1048576 a".into()]).unwrap(), ["x".repeat(1 << 20)]);
    let two = ["size 1048576 b".into(), "ü 🦀 \"\0\n".into()];
    assert_eq!(site.run(&two).unwrap()[1], "did ü 🦀 \"\0\n");
    let again: Vec<String> = tasks(4, "size 1048576");
    assert!(site.run(&again).unwrap().iter().all(|result| result.len() == 1 << 20));
}

#[test]
fn results_are_thrown_away_when_they_are_fetched() {
    let site = Site::with_executors(1);
    site.run(&tasks(4, "a")).unwrap();
    let results = site._dir.path().join("0");
    let began = Instant::now();
    while std::fs::read_dir(&results).unwrap().count() > 0 {
        assert!(began.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn tasks_of_a_killed_executor_are_done_elsewhere() {
    let mut site = Site::with_executors(3);
    let tasks = tasks(24, "sleep 500");
    let (address, all) = (site.address.clone(), tasks.clone());
    let running = site.caller.spawn(async move { client::run(&address, all).await });
    site.wait_until_running(6);
    std::thread::sleep(Duration::from_millis(700));
    site.executors[0].kill();
    assert_eq!(site.caller.block_on(running).unwrap().unwrap(), did(&tasks));
}

#[test]
fn an_executor_that_is_stopped_ends_what_it_has() {
    let mut site = Site::with_executors(2);
    let tasks = tasks(12, "sleep 300");
    let (address, all) = (site.address.clone(), tasks.clone());
    let running = site.caller.spawn(async move { client::run(&address, all).await });
    site.wait_until_running(4);
    site.executors[0].stop();
    assert_eq!(site.caller.block_on(running).unwrap().unwrap(), did(&tasks));
    assert!(site.book.by_task.lock().unwrap().values().all(|times| *times == 1));
}

#[test]
fn without_an_executor_the_client_is_told_to_start_one() {
    let site = Site::with_executors(0);
    let began = Instant::now();
    let refused = site.run(&tasks(1, "a")).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    let told = format!(
        "no executor is registered with the scheduler at {}: start one with `lade executor`",
        site.address
    );
    assert_eq!(refused.message(), told);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_job_whose_executors_are_all_lost_ends_in_an_error() {
    let mut site = Site::with_executors(1);
    let (address, all) = (site.address.clone(), tasks(2, "sleep 60000"));
    let running = site.caller.spawn(async move { client::run(&address, all).await });
    site.wait_until_running(2);
    site.executors[0].kill();
    let lost = site.caller.block_on(async { tokio::time::timeout(Duration::from_secs(20), running).await });
    assert_eq!(lost.unwrap().unwrap().unwrap_err().kind, ErrorKind::Unavailable);
}

#[test]
fn a_job_of_a_killed_scheduler_ends_in_an_error_and_executors_find_the_next_scheduler() {
    let mut site = Site::with_executors(2);
    let (address, all) = (site.address.clone(), tasks(8, "sleep 60000"));
    let running = site.caller.spawn(async move { client::run(&address, all).await });
    site.wait_until_running(4);
    site.scheduler.kill();
    let lost = site.caller.block_on(async { tokio::time::timeout(Duration::from_secs(10), running).await });
    assert_eq!(lost.unwrap().unwrap().unwrap_err().kind, ErrorKind::Unavailable);
    site.wait_until_running(0);
    let (next, _) = scheduler(&site.address);
    site.scheduler = next;
    site.wait_for_executors(2);
    let tasks = tasks(4, "again");
    assert_eq!(site.run(&tasks).unwrap(), did(&tasks));
}

#[test]
fn a_client_that_goes_away_has_its_tasks_cancelled() {
    let site = Site::with_executors(1);
    let (address, all) = (site.address.clone(), tasks(8, "sleep 60000"));
    let running = site.caller.spawn(async move { client::run(&address, all).await });
    site.wait_until_running(2);
    running.abort();
    site.wait_until_running(0);
    assert_eq!(site.book.by_task.lock().unwrap().len(), 2);
    let tasks = tasks(2, "next");
    assert_eq!(site.run(&tasks).unwrap(), did(&tasks));
}

#[test]
fn a_task_that_panics_fails_its_job_alone() {
    let site = Site::with_executors(1);
    let failed = site.run(&["a".into(), "panic".into()]).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Internal, "{}", failed.chain());
    let tasks = tasks(2, "next");
    assert_eq!(site.run(&tasks).unwrap(), did(&tasks));
}

#[test]
fn jobs_run_side_by_side() {
    let site = Site::with_executors(2);
    let jobs: Vec<Vec<String>> = (0..4).map(|job| tasks(10, &format!("sleep 20 {job}"))).collect();
    let running: Vec<_> = jobs
        .iter()
        .map(|job| {
            let (address, job) = (site.address.clone(), job.clone());
            site.caller.spawn(async move { client::run(&address, job).await })
        })
        .collect();
    for (job, running) in jobs.iter().zip(running) {
        assert_eq!(site.caller.block_on(running).unwrap().unwrap(), did(job));
    }
}
