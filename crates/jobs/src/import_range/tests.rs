//! How files are cut into ranges, and ranges put together.

use access::bucket::ObjectEntry;

use super::cut::TASKS_MAX;
use super::*;

fn entry(key: &str, size: u64) -> ObjectEntry {
    ObjectEntry { key: key.to_owned(), size, etag: String::new() }
}

fn cuts(files: &[ObjectEntry], task_bytes: u64) -> Vec<Vec<(String, u64, u64)>> {
    let shown = |piece: Piece| (piece.key, piece.begin, piece.end);
    cut(files, task_bytes).into_iter().map(|task| task.into_iter().map(shown).collect()).collect()
}

#[test]
fn large_files_are_cut_and_small_ones_read_together() {
    let files = [entry("a", 25), entry("b", 3), entry("c", 0), entry("d", 2)];
    let piece = |key: &str, begin, end| (key.to_owned(), begin, end);
    assert_eq!(
        cuts(&files, 10),
        [
            vec![piece("a", 0, 10)],
            vec![piece("a", 10, 20)],
            vec![piece("a", 20, 25), piece("b", 0, 3), piece("c", 0, 0), piece("d", 0, 2)],
        ]
    );
    assert_eq!(cuts(&files, 1 << 20).len(), 1);
    assert_eq!(cuts(&[entry("a", 10_000)], 1).len() as u64, TASKS_MAX - 6);
}

#[test]
fn parts_of_all_hashes_are_all_hashes() {
    for of in [1, 2, 4, 256] {
        let parts: Vec<_> = (0..of).map(|part| hashes(part, of)).collect();
        assert_eq!((*parts[0].start(), *parts[parts.len() - 1].end()), (0, u64::MAX));
        assert!(parts.windows(2).all(|two| two[0].end() + 1 == *two[1].start()));
    }
}

fn range(begin: u64) -> Range {
    let piece = Piece { key: "a".into(), etag: String::new(), size: 100, begin, end: begin + 10 };
    Range { attempt: "x".into(), schema_version: 1, is_exported: false, begin: None, pieces: vec![piece] }
}

fn done(begin: u64, end: u64) -> Option<Read> {
    let run = Run { object: String::new(), rows: 1, records: 1, csv_bytes: 1, size_bytes: 1 };
    Some(Read::Done { begin, end, run })
}

#[test]
fn a_range_is_read_again_from_where_the_one_before_ended() {
    let mut ranges = [range(0), range(10), range(20)];
    let mut reads = [done(5, 14), Some(Read::Wrong), done(21, 30)];
    assert_eq!(fit(&mut ranges, &mut reads), Fit::Again(1));
    assert!(reads[1].is_none() && reads[2].is_some());
    assert_eq!(ranges[1].begin, Some(14));
    reads[1] = done(14, 23);
    assert_eq!(fit(&mut ranges, &mut reads), Fit::Again(1));
    assert_eq!(ranges[2].begin, Some(23));
    reads[2] = done(23, 30);
    assert_eq!(fit(&mut ranges, &mut reads), Fit::All);
}

#[test]
fn ranges_within_one_record_are_passed_over_at_once() {
    let mut ranges = [range(0), range(10), range(20), range(30), range(40)];
    let wrong = || Some(Read::Wrong);
    let mut reads = [done(5, 33), wrong(), wrong(), wrong(), done(41, 50)];
    assert_eq!(fit(&mut ranges, &mut reads), Fit::Again(3));
    assert_eq!(ranges.each_ref().map(|range| range.begin), [None, Some(33), Some(33), Some(33), None]);
    (reads[1], reads[2], reads[3]) = (done(33, 33), done(33, 33), done(33, 41));
    assert_eq!(fit(&mut ranges, &mut reads), Fit::All);
}

#[test]
fn a_row_that_breaks_a_rule_counts_where_its_range_was_read_rightly() {
    assert_eq!(fit(&mut [range(0)], &mut [Some(Read::Wrong)]), Fit::Wrong);
    let mut ranges = [range(0), range(10)];
    let mut reads = [done(5, 14), Some(Read::Wrong)];
    assert_eq!(fit(&mut ranges, &mut reads), Fit::Again(1));
    reads[1] = Some(Read::Wrong);
    assert_eq!(fit(&mut ranges, &mut reads), Fit::Wrong);
}
