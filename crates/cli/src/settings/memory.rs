//! The memory of all jobs where nobody gives it: enough for as many as run at once, but half of what there is at most.

use std::path::{Path, PathBuf};

/// With less the jobs can't work.
pub const JOBS_BYTES_MIN: u64 = 64 << 20;

/// What the jobs share: what each of them may use, and as much for upkeep; the other half of the memory stays for the
/// server itself, for requests and for the system's cache of files.
pub fn for_jobs(job_memory_bytes: u64, jobs_concurrent: usize, limit_bytes: Option<u64>) -> u64 {
    let wanted = job_memory_bytes.saturating_mul(jobs_concurrent as u64 + 1);
    let most = limit_bytes.map_or(u64::MAX, |bytes| bytes / 2);
    wanted.min(most).max(JOBS_BYTES_MIN)
}

/// The memory that this process can have: the machine's, or less where a control group says so.
pub fn limit_bytes() -> Option<u64> {
    limit_below(Path::new("/"))
}

fn limit_below(root: &Path) -> Option<u64> {
    let machine = read(&root.join("proc/meminfo")).and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    });
    let groups = read(&root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().filter_map(limit_files).flat_map(|(folder, group, file)| {
        // A group is held by those above it as well. In a container the path may be that of the host: then the top is ours.
        let group = root.join(folder).join(group);
        let above: Vec<PathBuf> = group.ancestors().map(|folder| folder.join(file)).collect();
        above.into_iter().take_while(move |file| file.starts_with(root.join(folder)))
    });
    limits.filter_map(|file| read(&file)?.trim().parse().ok()).chain(machine).min()
}

/// Of a line of /proc/self/cgroup: where its hierarchy is, the group in it, and the file with the limit.
fn limit_files(line: &str) -> Option<(&'static str, &str, &'static str)> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, group) = (parts.next()?, parts.next()?, parts.next()?);
    let group = group.trim_start_matches('/');
    if controllers.is_empty() {
        Some(("sys/fs/cgroup", group, "memory.max"))
    } else if controllers.split(',').any(|name| name == "memory") {
        Some(("sys/fs/cgroup/memory", group, "memory.limit_in_bytes"))
    } else {
        None
    }
}

fn read(file: &Path) -> Option<String> {
    std::fs::read_to_string(file).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// A machine of 8 GiB with these files.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let all = [("proc/meminfo", "MemTotal:        8388608 kB\nMemFree:  1 kB\n")];
        for (name, text) in all.iter().chain(files) {
            let file = root.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        root
    }

    #[test]
    fn jobs_get_what_they_may_use_or_half_of_what_there_is() {
        assert_eq!(for_jobs(GIB / 4, 2, Some(8 * GIB)), 3 * GIB / 4);
        assert_eq!(for_jobs(GIB / 4, 2, None), 3 * GIB / 4);
        assert_eq!(for_jobs(GIB, 64, Some(8 * GIB)), 4 * GIB);
        assert_eq!(for_jobs(GIB / 4, 2, Some(GIB / 4)), GIB / 8);
        assert_eq!(for_jobs(GIB / 4, 2, Some(1 << 20)), JOBS_BYTES_MIN);
    }

    #[test]
    fn a_machine_without_groups_has_its_own_memory() {
        assert_eq!(limit_below(machine(&[]).path()), Some(8 * GIB));
        assert_eq!(limit_below(Path::new("/no-such-folder")), None);
    }

    #[test]
    fn a_group_and_those_above_it_limit_the_memory() {
        let files = [
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/memory.max", "268435456\n"),
        ];
        assert_eq!(limit_below(machine(&files).path()), Some(GIB / 4));
    }

    #[test]
    fn a_group_of_the_first_version_limits_the_memory() {
        let files = [
            ("proc/self/cgroup", "8:cpu:/c\n4:hugetlb,memory:/a\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "268435456\n"),
        ];
        assert_eq!(limit_below(machine(&files).path()), Some(GIB / 4));
    }

    #[test]
    fn in_a_container_that_sees_the_path_of_its_host_the_top_is_its_group() {
        let files = [("proc/self/cgroup", "0::/docker/123\n"), ("sys/fs/cgroup/memory.max", "536870912\n")];
        assert_eq!(limit_below(machine(&files).path()), Some(GIB / 2));
    }
}
