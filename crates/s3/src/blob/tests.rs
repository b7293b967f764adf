use bytes::Bytes;
use futures_util::StreamExt;
use model::clock::SystemClock;

use super::*;
use crate::checksum::Algorithm;

fn blobs(dir: &tempfile::TempDir) -> Blobs {
    Blobs::open(dir.path(), Arc::new(SystemClock)).unwrap()
}

async fn written(blobs: &Blobs, bytes: &[u8]) -> Stored {
    let mut writer = blobs.write(&[Algorithm::Crc32]);
    for piece in bytes.chunks(70_000) {
        writer.push(&Bytes::copy_from_slice(piece)).await.unwrap();
    }
    writer.finish().await.unwrap()
}

async fn read(blobs: &Blobs, slices: Vec<Slice>) -> Vec<u8> {
    let pin = blobs.pin(slices.iter().map(|slice| slice.blob.clone()).collect());
    let pieces: Vec<_> = Reader::new(blobs, slices, pin).collect().await;
    pieces.into_iter().flat_map(|piece| piece.unwrap()).collect()
}

fn slice(stored: &Stored, start: u64, size: u64) -> Slice {
    Slice { blob: stored.id.clone(), start, size }
}

#[tokio::test]
async fn slices_of_several_blobs_read_as_one_stream() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs(&dir);
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let (a, b, empty) =
        (written(&blobs, &bytes).await, written(&blobs, b"tail").await, written(&blobs, b"").await);
    assert_eq!(a.digested.size, 3_000_000);
    let slices = vec![slice(&a, 1_000_000, 2_000_000), slice(&empty, 0, 0), slice(&b, 1, 2)];
    assert_eq!(read(&blobs, slices).await, [&bytes[1_000_000..], b"ai"].concat());
}

#[tokio::test]
async fn a_blob_that_is_not_kept_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs(&dir);
    let stored = written(&blobs, b"bytes").await;
    let path = blobs.path(&stored.id);
    assert!(path.exists());
    drop(stored);
    assert!(!path.exists());
    let mut unfinished = blobs.write(&[]);
    unfinished.push(&Bytes::from(vec![0; 2_000_000])).await.unwrap();
    unfinished.push(&Bytes::from(vec![0; 2_000_000])).await.unwrap();
    drop(unfinished);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(fs::read_dir(dir.path().join("temp")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_blob_that_is_read_outlives_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs(&dir);
    let mut stored = written(&blobs, b"bytes").await;
    stored.keep();
    let path = blobs.path(&stored.id);
    let (one, two) = (blobs.pin(vec![stored.id.clone()]), blobs.pin(vec![stored.id.clone()]));
    blobs.discard(vec![stored.id.clone()]).await;
    drop(one);
    assert!(path.exists());
    drop(two);
    assert!(!path.exists());
}
