//! Lines and files of the audit log.

use super::*;

fn trail() -> Trail {
    Trail {
        service: Some("personalize".into()),
        access_key_id: Some("AKIA1".into()),
        caller: Some("arn:aws:iam::000000000000:root".into()),
        operation: Some("CreateSchema".into()),
        resources: vec!["arn:aws:personalize:us-east-1:000000000000:schema/s".into()],
    }
}

fn called(trail: &Trail, status: u16) -> Called<'_> {
    let error_code = (status != 200).then_some("InvalidInputException");
    Called { time_ms: 1_553_631_760_500, request_id: "r1", source: None, trail, status, error_code }
}

fn audit(path: PathBuf, size_bytes_max: u64) -> Audit {
    Audit::open(&AuditSettings { path, size_bytes_max }).unwrap()
}

#[test]
fn a_call_is_one_line_of_json() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let audit = audit(path.clone(), 1 << 20);
    audit.record(&called(&trail(), 200));
    audit.record(&called(&Trail::default(), 400));
    audit.close();
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(
        lines[0],
        serde_json::json!({
            "eventTime": "2019-03-26T20:22:40.5Z", "requestID": "r1", "sourceIPAddress": null,
            "eventSource": "personalize", "eventName": "CreateSchema",
            "userIdentity": {"arn": "arn:aws:iam::000000000000:root", "accessKeyId": "AKIA1"},
            "resources": ["arn:aws:personalize:us-east-1:000000000000:schema/s"],
            "status": 200, "errorCode": null,
        })
    );
    assert_eq!((&lines[1]["status"], &lines[1]["errorCode"]), (&400.into(), &"InvalidInputException".into()));
}

#[test]
fn a_full_file_makes_room_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = AuditFile::open(&dir.path().join("audit.log"), 100).unwrap();
    for n in 0..300 {
        file.append(format!("{n:09}\n").as_bytes()).unwrap();
    }
    let mut names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 9, "{names:?}");
    let newest = std::fs::read_to_string(dir.path().join("audit.log.1")).unwrap();
    assert_eq!((newest.lines().next(), newest.lines().count()), (Some("000000280"), 10));
    assert_eq!(std::fs::read_to_string(dir.path().join("audit.log.8")).unwrap().lines().count(), 10);
}

#[test]
fn a_file_that_was_moved_away_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("audit.log"), dir.path().join("moved"));
    let audit = audit(path.clone(), 1 << 20);
    std::fs::rename(&path, &moved).unwrap();
    audit.reopen();
    audit.record(&called(&trail(), 200));
    audit.close();
    assert_eq!(std::fs::read(&moved).unwrap(), b"");
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
}

#[test]
fn a_full_disk_costs_lines_and_no_call() {
    let audit = audit("/dev/full".into(), 1 << 20);
    for _ in 0..100_000 {
        audit.record(&called(&trail(), 200));
    }
    assert!(audit.shared.lock().lines.len() <= WAITING_BYTES_MAX);
    audit.close();
}
