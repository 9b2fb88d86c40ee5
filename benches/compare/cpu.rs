//! Processor time, as Linux accounts for it in /proc.

/// What a process used so far, with its children and what those used that have ended: milliseconds. NaN where there is no
/// /proc, and of a process that is gone.
#[cfg(target_os = "linux")]
#[expect(clippy::cast_precision_loss, reason = "less than 2^52 ticks")]
pub fn used(root: u32) -> f64 {
    use procfs::process::{Stat, all_processes};

    let stats = all_processes().into_iter().flatten().filter_map(|process| process.ok()?.stat().ok());
    let stats: Vec<Stat> = stats.collect();
    let mut tree: Vec<&Stat> = stats.iter().filter(|stat| u32::try_from(stat.pid) == Ok(root)).collect();
    if tree.is_empty() {
        return f64::NAN;
    }
    let mut next = 0;
    while let Some(parent) = tree.get(next) {
        let parent = parent.pid;
        tree.extend(stats.iter().filter(|stat| stat.ppid == parent));
        next += 1;
    }
    // Those that a parent has waited for are in its own `cutime` and `cstime`.
    let ticks: i64 = tree.iter().map(|stat| (stat.utime + stat.stime).cast_signed() + stat.cutime + stat.cstime).sum();
    ticks as f64 * 1000.0 / procfs::ticks_per_second() as f64
}

#[cfg(not(target_os = "linux"))]
pub fn used(_: u32) -> f64 {
    f64::NAN
}
