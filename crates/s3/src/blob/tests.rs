use bytes::Bytes;
use futures_util::StreamExt;
use model::clock::SystemClock;

use super::*;
use crate::checksum::Algorithm;
use crate::digest::Digests;
use access::SealingKey;
use seal::cipher::{CHUNK, Cipher, sealed_size};

fn blobs(dir: &tempfile::TempDir) -> Blobs {
    Blobs::open(dir.path(), Arc::new(SystemClock)).unwrap()
}

async fn written(blobs: &Blobs, bytes: &[u8]) -> Stored {
    let mut writer = blobs.write(Digests::new(&[Algorithm::Crc32]), None);
    for piece in bytes.chunks(70_000) {
        writer.push(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    writer.finish().await.unwrap()
}

async fn read(blobs: &Blobs, slices: Vec<Slice>) -> Vec<u8> {
    let pin = blobs.pin(slices.iter().map(|slice| slice.blob.clone()).collect());
    let pieces: Vec<_> = Reader::new(blobs, slices, pin, None).collect().await;
    pieces.into_iter().flat_map(|piece| piece.unwrap()).collect()
}

fn slice(stored: &Stored, start: u64, size: u64) -> Slice {
    Slice { blob: stored.id.clone(), start, size, blob_size: stored.digested.size }
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
async fn a_blob_that_a_backup_copies_goes_when_another_one_does() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs(&dir);
    let (first, second) = (written(&blobs, b"first").await, written(&blobs, b"second").await);
    let (first_path, second_path) = (blobs.path(&first.id), blobs.path(&second.id));
    let kept = crate::backup::hold(dir.path()).keep(std::time::Duration::ZERO).unwrap();
    drop(first);
    assert!(first_path.exists());
    drop(kept);
    drop(second);
    assert!(!first_path.exists() && !second_path.exists());
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
    let mut unfinished = blobs.write(Digests::new(&[]), None);
    unfinished.push(Bytes::from(vec![0; 2_000_000])).await.unwrap();
    unfinished.push(Bytes::from(vec![0; 2_000_000])).await.unwrap();
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

const KEY: [u8; 32] = [7; 32];

fn pattern(size: usize) -> Vec<u8> {
    (0..size as u32).map(|n| (n * 31 % 251) as u8).collect()
}

async fn sealed(blobs: &Blobs, bytes: &[u8], piece: usize) -> Stored {
    let mut writer = blobs.write(Digests::new(&[Algorithm::Crc32]), Some(&SealingKey::new(KEY)));
    for piece in bytes.chunks(piece) {
        writer.push(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    writer.finish().await.unwrap()
}

async fn opened(blobs: &Blobs, slices: Vec<Slice>, key: [u8; 32]) -> Option<Vec<u8>> {
    let pin = blobs.pin(slices.iter().map(|slice| slice.blob.clone()).collect());
    let pieces: Vec<_> = Reader::new(blobs, slices, pin, Some(SealingKey::new(key))).collect().await;
    pieces.into_iter().collect::<Result<Vec<_>, _>>().ok().map(|pieces| pieces.concat())
}

#[tokio::test]
async fn sealed_blobs_of_all_sizes_read_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs(&dir);
    let chunk = CHUNK as usize;
    for size in [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 16 * chunk, 16 * chunk + 5, 3_000_000] {
        let bytes = pattern(size);
        let stored = sealed(&blobs, &bytes, 70_001).await;
        let file = fs::read(blobs.path(&stored.id)).unwrap();
        assert_eq!(file.len() as u64, sealed_size(size as u64), "{size}");
        assert!(size < 64 || !file.windows(32).any(|window| window == &bytes[..32]), "{size}");
        let whole = slice(&stored, 0, size as u64);
        assert!(opened(&blobs, vec![whole.clone()], KEY).await.unwrap() == bytes, "{size}");
        assert!(size == 0 || opened(&blobs, vec![whole], [8; 32]).await.is_none(), "{size}");
    }
}

#[tokio::test]
async fn ranges_of_sealed_blobs_are_those_of_their_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs(&dir);
    let bytes = pattern(1_500_000);
    let stored = sealed(&blobs, &bytes, 1_000_000).await;
    let size = bytes.len() as u64;
    let borders = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 8 * CHUNK, 8 * CHUNK + 3, size - 1, size];
    for start in borders {
        for end in borders.into_iter().filter(|end| *end > start) {
            let read = opened(&blobs, vec![slice(&stored, start, end - start)], KEY).await.unwrap();
            assert!(read == bytes[start as usize..end as usize], "{start}..{end}");
        }
    }
}

#[tokio::test]
async fn every_change_of_a_sealed_file_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs(&dir);
    let stored = sealed(&blobs, &pattern(2 * CHUNK as usize + 3), 1_000_000).await;
    let (path, whole) = (blobs.path(&stored.id), slice(&stored, 0, 2 * CHUNK + 3));
    let file = fs::read(&path).unwrap();
    let sealed_chunk = CHUNK as usize + 16;
    let mut changed = vec![
        // Cut off: at a border of chunks, within one, all of it.
        file[..2 * sealed_chunk].to_vec(),
        file[..file.len() - 1].to_vec(),
        Vec::new(),
        // Chunks in another order.
        [&file[sealed_chunk..2 * sealed_chunk], &file[..sealed_chunk], &file[2 * sealed_chunk..]].concat(),
    ];
    for place in (0..file.len()).step_by(7919).chain([sealed_chunk - 1, sealed_chunk, file.len() - 1]) {
        let mut flipped = file.clone();
        flipped[place] ^= 1 << (place % 8);
        changed.push(flipped);
    }
    for bytes in changed {
        fs::write(&path, bytes).unwrap();
        assert_eq!(opened(&blobs, vec![whole.clone()], KEY).await, None);
    }
    fs::write(&path, file).unwrap();
    assert!(opened(&blobs, vec![whole], KEY).await.is_some());
}

#[test]
fn every_flipped_bit_of_a_chunk_is_found_and_so_is_its_place() {
    let cipher = Cipher::new(&SealingKey::new(KEY), "blob");
    let mut chunk = Vec::new();
    cipher.seal(5, false, b"some bytes", &mut chunk);
    let open = |cipher: &Cipher, number, is_last, mut chunk: Vec<u8>| {
        cipher.open(number, is_last, &mut chunk).map(<[u8]>::to_vec).ok()
    };
    assert_eq!(open(&cipher, 5, false, chunk.clone()).unwrap(), b"some bytes");
    for bit in 0..chunk.len() * 8 {
        let mut flipped = chunk.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&cipher, 5, false, flipped), None, "bit {bit}");
    }
    assert_eq!(open(&cipher, 6, false, chunk.clone()), None);
    assert_eq!(open(&cipher, 5, true, chunk.clone()), None);
    assert_eq!(open(&Cipher::new(&SealingKey::new(KEY), "other"), 5, false, chunk), None);
}

#[tokio::test]
async fn many_readers_at_once_hold_small_pieces_and_read_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = blobs(&dir);
    let bytes = pattern(2_500_000);
    let stored = sealed(&blobs, &bytes, 1_000_000).await;
    let read = || {
        let pin = blobs.pin(vec![stored.id.clone()]);
        Reader::new(&blobs, vec![slice(&stored, 3, bytes.len() as u64 - 3)], pin, Some(SealingKey::new(KEY)))
    };
    let mut readers: Vec<_> = (0..600).map(|_| read()).collect();
    let mut all = Vec::new();
    let mut last = readers.pop().unwrap();
    while let Some(piece) = last.next().await {
        let piece = piece.unwrap();
        assert!(all.is_empty() || piece.len() <= CHUNK as usize);
        all.extend_from_slice(&piece);
    }
    assert!(all == bytes[3..]);
    drop((readers, last));
    // What was being read at that moment is read to its end.
    while blobs.inner.readers.count() > 0 {
        tokio::task::yield_now().await;
    }
    let alone = read().next().await.unwrap().unwrap();
    assert!(alone.len() > 900_000, "{}", alone.len());
}
