//! What others read of a log while it is written.

use super::*;
use crate::log::copy::{Survey, check_formats};

fn read(folder: &TempDir, survey: &Survey) -> Vec<(String, Vec<u8>)> {
    let cut = |stretch: &super::super::copy::Stretch| {
        let mut bytes = std::fs::read(folder.path().join(&stretch.name)).unwrap();
        bytes.truncate(stretch.size_bytes as usize);
        stretch.check(&bytes).unwrap();
        (stretch.name.clone(), bytes)
    };
    survey.stretches().iter().map(cut).collect()
}

#[tokio::test]
async fn what_was_acknowledged_before_a_look_is_in_the_copy_and_nothing_is_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(folder.path(), small(), count_from(1)).unwrap();
    let mut survey = Survey::begin(folder.path()).unwrap();
    assert!(survey.is_new());
    for n in 0..200 {
        let put = log.append(batch(1, &["x", &n.to_string()])).await.unwrap();
        survey.advance().unwrap();
        assert!(survey.end() > put.position && !survey.is_new(), "call {n}");
        assert_eq!(survey.end(), log.durable());
    }
    assert!(survey.stretches().len() > 2, "{:?}", survey.stretches());
    let at_once = Survey::begin(folder.path()).unwrap();
    assert_eq!((at_once.end(), at_once.stretches()), (survey.end(), survey.stretches()));
    log.append(batch(1, &["later"])).await.unwrap();
    let copy = tempfile::tempdir().unwrap();
    for (name, bytes) in read(&folder, &survey) {
        std::fs::write(copy.path().join(name), bytes).unwrap();
    }
    let (opened, recovered) = Log::open(copy.path(), small(), count_from(1000)).unwrap();
    assert_eq!((recovered.frames, recovered.dropped_bytes, opened.durable()), (200, 0, survey.end()));
}

#[tokio::test]
async fn a_damaged_log_is_not_taken_for_a_short_one() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(folder.path(), LogSettings::default(), count_from(1)).unwrap();
    for n in 0..20 {
        log.append(batch(1, &[&n.to_string()])).await.unwrap();
    }
    log.close().unwrap();
    let stretch = Survey::begin(folder.path()).unwrap().stretches().remove(0);
    let file = folder.path().join(&stretch.name);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(Survey::begin(folder.path()).err().unwrap().kind, ErrorKind::Corrupt);
    bytes.truncate(stretch.size_bytes as usize);
    assert_eq!(stretch.check(&bytes).unwrap_err().kind, ErrorKind::Corrupt);
}

#[test]
fn a_folder_without_a_log_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut survey = Survey::begin(&folder.path().join("log")).unwrap();
    survey.advance().unwrap();
    assert_eq!((survey.is_new(), survey.end(), survey.stretches().len()), (true, 0, 0));
    check_formats(&folder.path().join("log")).unwrap();
}
