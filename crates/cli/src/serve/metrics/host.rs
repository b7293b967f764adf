//! What the system says of this process and of its disk.

use std::fs;
use std::path::Path;

use measure::{Kind, Page};

/// Linux counts the times of a process in hundredths of a second, on every machine.
const TICKS_PER_S: f64 = 100.0;

/// The disk that holds the data folder; nothing where the system does not say.
pub fn about_disk(page: &mut Page, data_dir: &Path) {
    let Ok(disk) = fs4::statvfs(data_dir) else { return };
    let help = "Room on the disk of the data folder that this server may use.";
    page.gauge("lade_disk_free_bytes", help, disk.available_space());
    page.gauge("lade_disk_size_bytes", "The size of the disk of the data folder.", disk.total_space());
}

/// Names are those of Prometheus' own clients. What `/proc` does not have is left out.
pub fn about_process(page: &mut Page) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    if let Some((cpu_s, started_s)) = times(&stat) {
        let name = "process_cpu_seconds_total";
        page.family(name, Kind::Counter, "Processor time that this process has used.");
        page.sample(name, "", cpu_s);
        if let Some(booted_s) = booted_s() {
            let help = "When this process started, in seconds since the epoch.";
            page.gauge("process_start_time_seconds", help, booted_s + started_s);
        }
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(kib) = number_behind(&status, "VmRSS:") {
        page.gauge("process_resident_memory_bytes", "Memory of this process that is in use.", kib * 1024);
    }
    if let Some(threads) = number_behind(&status, "Threads:") {
        page.gauge("process_threads", "Threads of this process.", threads);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        page.gauge("process_open_fds", "Files and connections that are open.", open.count());
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    if let Some(most) = number_behind(&limits, "Max open files") {
        page.gauge("process_max_fds", "Files and connections that may be open.", most);
    }
}

/// Seconds of the processor, and seconds from the machine's start to the process's.
#[expect(clippy::cast_precision_loss, reason = "times in hundredths of a second are far below 2^53")]
fn times(stat: &str) -> Option<(f64, f64)> {
    // The program's name may hold anything, blanks and parentheses too; the third field comes behind it.
    let (_, fields) = stat.rsplit_once(") ")?;
    let field = |number: usize| fields.split(' ').nth(number - 3)?.parse::<u64>().ok();
    let seconds = |ticks: u64| ticks as f64 / TICKS_PER_S;
    Some((seconds(field(14)? + field(15)?), seconds(field(22)?)))
}

fn booted_s() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn number_behind(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_shifts_no_field() {
        let fields: Vec<String> = (3..=52).map(|n| n.to_string()).collect();
        let stat = format!("17 (a ) b) {}", fields.join(" "));
        assert_eq!(times(&stat), Some((0.29, 0.22)));
        assert_eq!(times("17 (a) S 1"), None);
    }

    #[test]
    fn this_process_is_told_of() {
        let mut page = Page::default();
        about_process(&mut page);
        about_disk(&mut page, Path::new("/"));
        let text = page.into_text();
        for name in [
            "process_cpu_seconds_total ",
            "process_open_fds ",
            "process_start_time_seconds ",
            "lade_disk_free_bytes ",
        ] {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name} {text}");
        }
    }
}
