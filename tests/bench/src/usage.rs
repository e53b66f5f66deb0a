//! What processes use, as the kernel counts it: each with the processes that it has started, and theirs.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// A process and all below it, as they were when they were looked for.
#[derive(Clone, Debug)]
pub struct Family(Vec<u32>);

// === impl Family ===

impl Family {
    /// Of the process with this id.
    pub fn of(pid: u32) -> Self {
        let mut children = HashMap::<u32, Vec<u32>>::new();
        let processes =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        for process in processes.filter_map(|name| name.parse().ok()) {
            if let Some(parent) = parent(process) {
                children.entry(parent).or_default().push(process);
            }
        }
        let mut family = vec![pid];
        let mut next = 0;
        while let Some(member) = family.get(next) {
            let below = children.remove(member).unwrap_or_default();
            family.extend(below);
            next += 1;
        }
        Self(family)
    }

    /// CPU time so far, of all threads. Counted in nanoseconds, unlike what `/proc/PID/stat` says. Threads that have
    /// ended are not in it.
    pub fn cpu(&self) -> Duration {
        self.0.iter().copied().map(cpu).sum()
    }

    /// Memory that is resident, in bytes. What they share counts for each.
    pub fn memory(&self) -> u64 {
        self.0.iter().copied().filter_map(memory).sum()
    }
}

fn parent(pid: u32) -> Option<u32> {
    // The name may have spaces and parentheses in it.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn cpu(pid: u32) -> Duration {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Duration::ZERO };
    let nanos = tasks.filter_map(|task| {
        let stat = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

fn memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_a_process_has_started_counts_with_it() {
        let mut shell = Command::new("sh").args(["-c", "sleep 60 & echo; wait"]).spawn().unwrap();
        let found = (0..1_000).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            Family::of(shell.id()).0.len() == 2
        });
        let family = Family::of(shell.id());
        assert!(found && family.memory() > 0 && family.cpu() > Duration::ZERO, "{family:?}");
        for pid in family.0.iter().skip(1) {
            Command::new("kill").arg(pid.to_string()).status().unwrap();
        }
        shell.wait().unwrap();
    }
}
