//! The disk of the data folder: how much is left, and how long it takes to make something durable.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use store::disk::space_bytes;

use super::finding::Findings;
use crate::settings::Settings;

/// With less, the server refuses puts before long.
const LEFT_BYTES_MIN: u64 = 256 << 20;
const SYNCS: usize = 20;
/// Every put waits for one.
const SYNC_SLOW: Duration = Duration::from_millis(50);
/// No disk that syncs at all is as fast.
const SYNC_FEIGNED: Duration = Duration::from_micros(5);

pub fn look(folder: &Path, settings: Option<&Settings>, findings: &mut Findings) {
    let log_bytes = settings.map_or(512 << 20, |settings| settings.log_size_bytes);
    match space_bytes(folder) {
        Ok((left, all)) => {
            let text = format!("{} MiB of {} MiB are free", left >> 20, all >> 20);
            let advice =
                "free some, or move the data folder to a larger disk: with no space left puts are refused";
            match left {
                left if left < LEFT_BYTES_MIN => findings.fail("space", text, advice),
                left if left < 2 * log_bytes => {
                    findings.warn("space", format!("{text}, less than twice the log's size"), advice)
                }
                _ => findings.ok("space", text),
            }
        }
        Err(cause) => {
            findings.warn("space", format!("it can't be told: {cause}"), "look at the disk with df")
        }
    }
    match sync_time(folder) {
        Ok(time) => {
            let text =
                format!("{:.2} ms to make 4 KiB durable (median of {SYNCS})", time.as_secs_f64() * 1000.0);
            match time {
                time if time > SYNC_SLOW => findings.warn(
                    "fsync",
                    text,
                    "every put waits for that: take a disk with a protected cache, or another volume",
                ),
                time if time < SYNC_FEIGNED => findings.warn(
                    "fsync",
                    text,
                    "no disk is as fast: this one (tmpfs?) may lose at a power cut what it said was durable",
                ),
                _ => findings.ok("fsync", text),
            }
        }
        Err(cause) => findings.fail(
            "fsync",
            format!("nothing can be made durable in {}: {cause}", folder.display()),
            "run this command as the server's user; look at the disk",
        ),
    }
}

// A file without a meaning, which goes again.
fn sync_time(folder: &Path) -> io::Result<Duration> {
    let path = folder.join(format!("doctor-{}.probe", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let timed = file.and_then(|mut file| {
        let mut times = Vec::with_capacity(SYNCS);
        for _ in 0..SYNCS {
            file.write_all(&[0; 4096])?;
            let begun = Instant::now();
            file.sync_data()?;
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        Ok(times[SYNCS / 2])
    });
    let _ = fs::remove_file(&path);
    timed
}
