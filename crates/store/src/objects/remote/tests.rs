//! Objects in a bucket as those see them who write and read: whole or not there, and fetched no more than needed.

use std::io::Write;

use model::clock::SystemClock;
use seal::{DataKeys, SealingKey};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::super::Objects;
use super::super::fake::{Fake, Trouble};
use super::*;

struct Stage {
    runtime: Runtime,
    fake: Fake,
    folder: TempDir,
    objects: Objects,
}

impl Stage {
    fn new(cache_bytes_max: u64) -> Stage {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (fake, folder) = (Fake::default(), tempfile::tempdir().unwrap());
        let bucket = runtime.block_on(fake.bucket()).unwrap();
        let handle = runtime.handle().clone();
        let objects =
            Objects::open_bucket(bucket, &folder.path().join("cache"), cache_bytes_max, handle).unwrap();
        Stage { runtime, fake, folder, objects }
    }

    fn sealed(mut self) -> Stage {
        let keys = DataKeys::sealing(SealingKey::new([7; 32]), Arc::new(SystemClock));
        self.objects = self.objects.with_keys(keys);
        self
    }

    fn write(&self, name: &str, text: &[u8]) {
        let mut writer = self.objects.create(name).unwrap();
        text.chunks(100_000).for_each(|piece| writer.write_all(piece).unwrap());
        writer.finish().unwrap();
    }

    /// Reads an object from its start to its end.
    fn read(&self, name: &str) -> Vec<u8> {
        let object = self.objects.open_object(name).unwrap();
        let size = object.size().unwrap();
        let mut text = vec![0; usize::try_from(size).unwrap()];
        for (piece, at) in text.chunks_mut(300_000).zip((0..).step_by(300_000)) {
            object.read_exact_at(piece, at).unwrap();
        }
        assert_eq!(object.read_at(&mut [0], size).unwrap(), 0);
        text
    }

    fn cached_bytes(&self) -> u64 {
        let files = std::fs::read_dir(self.folder.path().join("cache")).unwrap();
        files.filter_map(|file| file.ok()?.metadata().ok()).map(|file| file.len()).sum()
    }

    fn asked(&self, method: &str) -> usize {
        self.fake.asked().iter().filter(|request| request.starts_with(method)).count()
    }
}

fn text(size: usize) -> Vec<u8> {
    (0..size as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

const MIB: usize = 1 << 20;

#[test]
fn a_small_object_is_put_and_read_with_one_request_each() {
    let stage = Stage::new(64 << 20);
    stage.fake.asked();
    stage.write("x", b"hello");
    assert_eq!(stage.fake.asked(), ["PUT a/runs/x"]);
    assert_eq!(stage.read("x"), b"hello");
    assert_eq!(stage.read("x"), b"hello");
    assert_eq!(stage.fake.asked(), ["GET a/runs/x"]);
    stage.write("empty", b"");
    assert_eq!(stage.read("empty"), b"");
    assert_eq!(stage.objects.names().unwrap(), ["empty", "x"]);
}

#[test]
fn a_large_object_goes_up_in_parts_and_is_fetched_once() {
    let stage = Stage::new(64 << 20).sealed();
    let text = text(21 * MIB);
    stage.fake.asked();
    stage.write("x", &text);
    assert_eq!(stage.asked("PUT"), 3);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert!(stage.read("x") == text));
        }
    });
    assert_eq!(stage.asked("GET"), 6);
    assert_eq!(stage.fake.uploads(), 0);
}

#[test]
fn a_small_cache_is_never_larger_than_it_may_be_and_reads_stay_right() {
    let stage = Stage::new(9 << 20);
    let texts = [text(13 * MIB), text(14 * MIB + 1), text(5 * MIB)];
    for (n, text) in texts.iter().enumerate() {
        stage.write(&n.to_string(), text);
    }
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..6)
            .map(|n| {
                let (stage, texts) = (&stage, &texts);
                scope.spawn(move || assert!(stage.read(&(n % 3).to_string()) == texts[n % 3]))
            })
            .collect();
        while readers.iter().any(|reader| !reader.is_finished()) {
            assert!(stage.cached_bytes() <= 9 << 20);
        }
    });
    assert!(stage.cached_bytes() > 4 << 20);
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing() {
    let stage = Stage::new(64 << 20);
    let mut writer = stage.objects.create("x").unwrap();
    writer.write_all(&text(9 * MIB)).unwrap();
    assert_eq!(stage.fake.uploads(), 1);
    drop(writer);
    stage.runtime.block_on(async {
        while stage.fake.uploads() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    });
    assert!(stage.fake.keys().is_empty());
    assert_eq!(stage.objects.open_object("x").err().unwrap().kind, ErrorKind::Corrupt);
}

#[test]
fn what_a_crash_left_half_written_is_found_and_given_up() {
    let stage = Stage::new(64 << 20);
    let mut writer = stage.objects.create("x").unwrap();
    writer.write_all(&text(9 * MIB)).unwrap();
    std::mem::forget(writer);
    let unfinished = stage.objects.unfinished().unwrap();
    assert_eq!(unfinished.iter().map(|object| object.name.as_str()).collect::<Vec<_>>(), ["x"]);
    unfinished.iter().for_each(|object| stage.objects.give_up(object).unwrap());
    assert_eq!(stage.fake.uploads(), 0);
}

#[test]
fn bytes_that_changed_on_their_way_are_fetched_again() {
    let stage = Stage::new(64 << 20).sealed();
    let text = text(6 * MIB);
    stage.write("x", &text);
    stage.fake.fail("GET", Trouble::ChangedByte);
    assert!(stage.read("x") == text);
}

#[test]
fn a_cache_whose_files_are_gone_is_read_past() {
    let stage = Stage::new(64 << 20);
    let text = text(6 * MIB);
    stage.write("x", &text);
    assert!(stage.read("x") == text);
    std::fs::remove_dir_all(stage.folder.path().join("cache")).unwrap();
    assert!(stage.read("x") == text);
}

#[test]
fn deletion_drops_what_is_cached() {
    let stage = Stage::new(64 << 20);
    stage.write("x", &text(6 * MIB));
    stage.read("x");
    assert_eq!(stage.cached_bytes(), 6 << 20);
    stage.objects.delete_all(&["x".to_owned(), "y".to_owned()]).unwrap();
    assert_eq!(stage.cached_bytes(), 0);
    assert_eq!(stage.objects.open_object("x").err().unwrap().kind, ErrorKind::Corrupt);
}

#[test]
fn a_store_that_does_not_answer_is_an_outage() {
    let stage = Stage::new(64 << 20);
    stage.write("x", b"hello");
    (0..100).for_each(|_| stage.fake.fail("GET", Trouble::Unavailable));
    assert_eq!(stage.objects.open_object("x").err().unwrap().kind, ErrorKind::Unavailable);
}
