//! docs/benchmarks.md and its plots, from the figures of one run and nothing else.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::board::{Line, headings};
use crate::plot::{self, Group};
use crate::rows::Bench;
use crate::subject::Subject;

/// How each row is measured, by its name.
const METHODS: &[(&str, &str)] = &[
    (
        "takeover",
        "One virtual router, VRRPv3, an advert every 10 ms. The master is killed (SIGKILL) at a random phase. \
      The figure is the time from its last advert to the backup's first, less the down interval of RFC 9568 (36.09 ms \
      for priority 100). *Busy*: an ordinary spinning thread for each CPU meanwhile.",
    ),
    (
        "cadence",
        "The same pair: by how much each interval between two adverts differs from 10 ms. The mean says \
      whether the schedule drifts.",
    ),
    (
        "cpu",
        "Processor time of all processes of a daemon by their own clocks (`clock_getcpuclockid`), in windows of one \
      second, median; 100 % is one core. No \
      capture runs meanwhile: packets are counted by the interfaces. *Floor*: the same packets to the same switch by a \
      program that calls `sendmmsg`, sleeps an interval, and does nothing else.",
    ),
    (
        "mass",
        "The master of all is killed. Theory: its last advert, plus the down interval. The last VIP is the last \
      RTM_NEWADDR that the backup's kernel tells of, or the address's first announcement, whichever was seen first: what \
      netlink tells has no time of the kernel's, and is read late on a busy host. The last first GARP is when the last \
      address was announced once. Start: from the start of the process to the first advert of the last virtual router, less \
      the down interval.",
    ),
    ("rss", "VmRSS of all processes of the daemon, as master of all; shared pages count for each process."),
    (
        "sending",
        "The same advert of router A again and again, 64 at a time, by each way in which packets leave a Linux host, with \
      what each is given (packet or whole frame) built beforehand. The other router drops them in its XDP program, and \
      counts them: a way by which one was lost has no figure. Processor time of the sending thread for each packet, as \
      it sends: system calls, the switch, and that program. vrrpd sends by `sendmmsg` on a packet socket.",
    ),
    (
        "addresses",
        "One virtual router with 1,000 addresses, 255 of them in its adverts, at 100 ms; times from the new \
      master's first advert. *Floor*: one RTM_NEWADDR after the other for the same addresses, without any announcement.",
    ),
    (
        "steadiness",
        "4 × 255 virtual routers at 10 ms, in windows of one second: adverts of the backup (there should be \
      none), and packets that left the master in those due.",
    ),
    (
        "floods",
        "A third host on the same bridge sends forged adverts with `sendmmsg` as fast as one CPU can, or 20 a \
      second. Adverts of the backup during the flood, how late the master's are after the one before, processor time, \
      and what the master counted under the right reason of what arrived.",
    ),
];

/// Where and how a run was made.
pub struct Context {
    kernel: String,
    cpus: usize,
    model: String,
    took: Duration,
    reps: usize,
    stalls: String,
    dropped: String,
    versions: Vec<String>,
    remarks: Vec<String>,
}

impl Context {
    pub fn of(bench: &Bench, took: Duration) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let model = read("/proc/cpuinfo");
        let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
        let stalls = bench.stalls.list();
        let worst = stalls.iter().map(|stall| stall.until - stall.from).max().unwrap_or_default();
        let dropped: Vec<_> =
            bench.board.dropped.iter().map(|(row, dropped, all)| format!("{row} {dropped} of {all}")).collect();
        Self {
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            model: model.trim_start_matches([' ', '\t', ':']).to_owned(),
            took,
            reps: bench.reps,
            stalls: format!(
                "{} stalls of more than 1 ms, the longest {:.1} ms",
                stalls.len(),
                worst.as_secs_f64() * 1e3
            ),
            dropped: dropped.join(", "),
            versions: Subject::DAEMONS.iter().filter_map(|subject| subject.version()).collect(),
            remarks: bench.board.remarks.clone(),
        }
    }

    /// For the terminal.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} CPUs ({}), Linux {}; {}; {} rounds in {:.0} s\n{}; measurements dropped for them: {}\n",
            self.cpus,
            self.model,
            self.kernel,
            self.versions.join(", "),
            self.reps,
            self.took.as_secs_f64(),
            self.stalls,
            self.dropped
        );
        for remark in &self.remarks {
            let _ = writeln!(text, "not measured: {remark}");
        }
        text
    }
}

/// Writes the page and its plots into the tree that this program was built from.
pub fn write(bench: &Bench, context: &Context) -> Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let plots = docs.join("benchmarks");
    std::fs::create_dir_all(&plots).with_context(|| format!("cannot make {}", plots.display()))?;
    let mut page = page(bench, context);
    for (name, title, svg) in plots_of(bench) {
        let file = plots.join(format!("{name}.svg"));
        std::fs::write(&file, svg).with_context(|| format!("cannot write {}", file.display()))?;
        let _ = writeln!(page, "\n![{title}](benchmarks/{name}.svg)");
    }
    let file: PathBuf = docs.join("benchmarks.md");
    std::fs::write(&file, page).with_context(|| format!("cannot write {}", file.display()))?;
    println!("written: docs/benchmarks.md, docs/benchmarks/");
    Ok(())
}

fn page(bench: &Bench, context: &Context) -> String {
    let mut page = format!(
        "# Benchmarks\n\nWritten by `{}`; every number is of one run. To repeat it: the same command, as root, on \
         a quiet machine.\n\n- Machine: {} CPUs ({}), Linux {}. Both routers, the switch and the attacker share it.\n\
         - Daemons: {}; keepalived with `-G -P`, so that no syslog and no checker slows it. Rounds: {}, in alternating order.\n\
         - A real-time thread for each CPU notes when the machine itself stands still: {}. What \
         such stalls make up more than a hundredth of is dropped: {}. Where nothing else is left the figure is marked \
         with ~ and not judged.\n- The switch is a bridge on veth, without br_netfilter's hooks. A sender pays there for the switch and for \
         the receiver's softirq.\n",
        bench.of("cargo xtask bench --quick --write", "cargo xtask bench"),
        context.cpus,
        context.model,
        context.kernel,
        context.versions.join(", "),
        context.reps,
        context.stalls,
        context.dropped
    );
    if !context.remarks.is_empty() {
        page.push_str("- Not measured:\n");
        for remark in &context.remarks {
            let _ = writeln!(page, "    - {remark}");
        }
    }
    let _ = writeln!(page, "\n| {} |\n|---|---|--:|--:|--:|--:|--:|---|---|", headings().join(" | "));
    for cells in bench.board.cells(true) {
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
    page.push_str(
        "\n*Ratio* is ours in keepalived's. FRR is left out where it cannot follow.\n\n## How each row is measured\n\n",
    );
    for (row, method) in METHODS {
        let _ = writeln!(page, "- **{row}**: {method}");
    }
    page.push_str("\n## Plots\n");
    page
}

/// Name, title and text of each plot that has anything to show.
fn plots_of(bench: &Bench) -> Vec<(&'static str, String, String)> {
    let board = &bench.board;
    let mut plots = Vec::new();
    let takeovers: Vec<_> = ["idle", "busy"]
        .into_iter()
        .flat_map(|load| Subject::DAEMONS.map(|subject| (load, subject)))
        .map(|(load, subject)| {
            (format!("{}, {load}", subject.name()), subject, board.samples(&format!("takeover.{load}"), subject))
        })
        .filter(|row| !row.2.is_empty())
        .collect();
    if !takeovers.is_empty() {
        let title = "Takeover at 10 ms, beyond the down interval";
        plots.push(("takeover", title.to_owned(), plot::spread(title, "ms", &takeovers)));
    }
    let mut bars = |name, title: &str, unit: &'static str, show: &dyn Fn(&Line) -> bool| {
        let groups: Vec<_> = board
            .lines
            .iter()
            .filter(|line| line.unit == unit && !line.private && show(line))
            .map(|line| {
                let values = Subject::ALL.iter().filter_map(|&subject| Some((subject, board.value(line, subject)?)));
                Group { label: line.measure.clone(), values: values.collect() }
            })
            .filter(|group| !group.values.is_empty())
            .collect();
        if !groups.is_empty() {
            plots.push((name, title.to_owned(), plot::bars(title, unit, &groups)));
        }
    };
    bars("cpu", "CPU, % of a core", "%", &|line| line.row == "cpu" && line.measure.contains("CPU of"));
    bars("mass", "All at once: beyond theory", "ms", &|line| line.row == "mass");
    bars("addresses", "1,000 addresses of one router, after the advert", "ms", &|line| line.row == "addresses");
    bars("rss", "Resident memory", "MB", &|line| line.row == "rss");
    bars("floods", "CPU under a flood", "%", &|line| line.row == "floods" && line.measure.contains("CPU of"));
    plots
}
