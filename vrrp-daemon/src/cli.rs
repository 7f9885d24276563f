//! The command line of vrrpd: keepalived's flags, and few of our own.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, Parser};

use crate::config::setup::{Service, Setup};
use crate::config::{NO_SNMP, Umask};
use crate::io::files::{self, How};
use crate::io::identity::{self, Identity, Places};
use crate::io::signals::Asked;
use crate::io::{log, namespace};

/// VRRP daemon that reads keepalived.conf
///
/// Long options may be shortened, and short ones put together, as with keepalived.
#[derive(Clone, Debug, Parser)]
#[command(name = "vrrpd", version, disable_version_flag = true, infer_long_args = true, args_override_self = true)]
pub struct Cli {
    /// Configuration file [default: /etc/keepalived/keepalived.conf]
    #[arg(short = 'f', long = "use-file", value_name = "FILE")]
    use_file: Option<PathBuf>,

    /// Test the configuration and exit: 0 when nothing is wrong, 2 when a parameter is missing, 4 when it cannot be read, 6
    /// when scripts are not safe, 5 when anything else is wrong. FILE is the configuration; beside -f it is the file to
    /// write the findings to, as with keepalived
    #[arg(short = 't', long = "config-test", value_name = "FILE", num_args = 0..=1)]
    config_test: Option<Option<PathBuf>>,

    /// Identity that @ID lines of the configuration compare with [default: the host's name up to its first dot]
    #[arg(short = 'i', long = "config-id", value_name = "ID")]
    config_id: Option<String>,

    /// Whatever the configuration includes must be there
    #[arg(short = 'e', long = "all-config")]
    all_config: bool,

    /// Directory of the control socket and of what else others find the daemon by, its pid files too [default: /run/vrrpd,
    /// and below it one for each `net_namespace` and `instance`]
    #[arg(long = "run-dir", value_name = "DIR")]
    run_dir: Option<PathBuf>,

    /// Run in this network namespace, whatever the configuration says
    #[arg(short = 's', long = "namespace", value_name = "NAME")]
    pub namespace: Option<String>,

    /// File to write the daemon's pid to [default: /run/keepalived.pid]
    #[arg(short = 'p', long = "pid", value_name = "FILE")]
    pid: Option<PathBuf>,

    /// The same for keepalived's VRRP process, which here is the same [default: /run/vrrp.pid]
    #[arg(short = 'r', long = "vrrp_pid", value_name = "FILE")]
    vrrp_pid: Option<PathBuf>,

    /// Stay in the foreground. Without it the daemon goes to the background when it is up, and not before
    #[arg(short = 'n', long = "dont-fork")]
    pub dont_fork: bool,

    /// Log to stderr, too
    #[arg(short = 'l', long = "log-console")]
    log_console: bool,

    /// Log more; twice: every packet
    #[arg(short = 'D', long = "log-detail", action = ArgAction::Count)]
    pub log_detail: u8,

    /// Facility of the system's log: 0 to 7 or local0 to local7, user, or daemon
    #[arg(short = 'S', long = "log-facility", value_name = "FACILITY", default_value = "daemon", value_parser = facility)]
    log_facility: u8,

    /// Do not log to the system's log
    #[arg(short = 'G', long = "no-syslog")]
    no_syslog: bool,

    /// Log to a file, too
    #[arg(short = 'g', long = "log-file", value_name = "FILE", num_args = 0..=1, default_missing_value = "/tmp/keepalived.log")]
    log_file: Option<PathBuf>,

    /// What others may not do with new files of the daemon and its scripts, as `umask` of global_defs [default: 0177]
    #[arg(short = 'u', long = "umask", value_name = "MASK", value_parser = mask)]
    umask: Option<u16>,

    /// SIGINT does not stop the daemon
    #[arg(long = "ignore-sigint")]
    pub ignore_sigint: bool,

    /// Print the number of a signal for kill(1) and exit: STOP, RELOAD, DATA, STATS, STATS_CLEAR or JSON
    #[arg(long = "signum", value_name = "FUNC", value_parser = signal)]
    signum: Option<i32>,

    /// Log every address that is set or removed on the host
    #[arg(short = 'a', long = "address-monitoring")]
    pub address_monitoring: bool,

    /// Dump core when it crashes
    #[arg(short = 'm', long = "core-dump")]
    pub core_dump: bool,

    /// Run no BFD sessions; nothing that tracks one then waits for it
    #[arg(short = 'B', long = "no_bfd")]
    pub no_bfd: bool,

    /// Refused: there are no health checkers; keepalived -C can run beside vrrpd
    #[arg(short = 'C', long = "check")]
    check: bool,

    /// Refused: digests for health checks are made by keepalived's own genhash
    #[arg(short = 'T', long = "genhash")]
    genhash: bool,

    /// Print the version and exit
    #[arg(short = 'v', long = "version", action = ArgAction::Version)]
    version: Option<bool>,

    // Last: its heading is that of all below.
    #[command(flatten)]
    idle: Idle,
}

/// Heading of the flags that do nothing.
pub const IDLE: &str = "Accepted, without effect";

/// Flags of keepalived's that are accepted and change nothing, and why.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = IDLE)]
struct Idle {
    /// There is nothing but VRRP and the BFD that it tracks
    #[arg(short = 'P', long = "vrrp")]
    vrrp: bool,

    /// There is one process, with or without something to do
    #[arg(long = "all")]
    all: bool,

    /// There are no child processes
    #[arg(short = 'R', long = "dont-respawn")]
    dont_respawn: bool,

    /// Addresses always go when they are no longer served
    #[arg(short = 'X', long = "release-vips")]
    release_vips: bool,

    /// Addresses go with the daemon: left behind they would be on two hosts
    #[arg(short = 'V', long = "dont-release-vrrp")]
    dont_release_vrrp: bool,

    /// Nothing is done with IPVS
    #[arg(short = 'I', long = "dont-release-ipvs")]
    dont_release_ipvs: bool,

    /// There is no such process
    #[arg(short = 'c', long = "checkers_pid", value_name = "FILE")]
    checkers_pid: Option<PathBuf>,

    /// There is no such process: BFD is part of the daemon
    #[arg(short = 'b', long = "bfd_pid", value_name = "FILE")]
    bfd_pid: Option<PathBuf>,

    /// Lines never wait in memory for more of them
    #[arg(long = "flush-log-file")]
    flush_log_file: bool,

    /// Ask vrrpctl
    #[arg(short = 'd', long = "dump-conf")]
    dump_conf: bool,

    /// There is no SNMP agent: `vrrpctl status --json` has what its tables would
    #[arg(short = 'x', long = "snmp")]
    snmp: bool,

    /// There is no SNMP agent whose socket it could be
    #[arg(short = 'A', long = "snmp-agent-socket", value_name = "SOCKET")]
    snmp_agent_socket: Option<PathBuf>,

    /// As -m; where cores go is the host's to say (sysctl kernel.core_pattern)
    #[arg(short = 'M', long = "core-dump-pattern", value_name = "PATTERN", num_args = 0..=1)]
    core_dump_pattern: Option<Option<String>>,

    /// There is nothing like it: `perf record -p PID`
    #[arg(long = "perf", value_name = "WHAT", num_args = 0..=1)]
    perf: Option<Option<String>>,

    /// Only keepalived's debug builds do; here the variable VRRPD_LOG says more
    #[arg(long = "debug", value_name = "WHAT", num_args = 0..=1)]
    debug: Option<Option<String>>,
}

/// The definition, for documentation.
pub fn command() -> clap::Command {
    let mut command = <Cli as clap::CommandFactory>::command();
    // So that it has the arguments that clap adds itself, too.
    command.build();
    command
}

impl Cli {
    /// The command line of this process. What is wrong with it is printed; the code to exit with is keepalived's 1.
    pub fn from_process() -> Result<Self, ExitCode> {
        Self::try_parse().map(Self::anchored).map_err(|error| {
            // Nobody is left to tell when this cannot be printed.
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            }
        })
    }

    /// With paths that hold in any directory: a daemon in the background leaves the one in which it was started.
    fn anchored(mut self) -> Self {
        let Self { use_file, run_dir, pid, vrrp_pid, log_file, .. } = &mut self;
        for path in [use_file, run_dir, pid, vrrp_pid, log_file].into_iter().flatten() {
            if let Ok(whole) = std::path::absolute(&*path) {
                *path = whole;
            }
        }
        self
    }

    /// How the configuration is to be read.
    pub fn how(&self) -> How {
        How { id: self.config_id.clone(), all_includes: self.all_config }
    }

    /// The code to exit with, when nothing but an answer was asked for; it is printed.
    pub fn answer(&self) -> Option<ExitCode> {
        if self.check || self.genhash {
            let flag = if self.check { "-C: there are no health checkers" } else { "-T: there is no genhash" };
            eprintln!("vrrpd: {flag} here; keepalived's own can run beside vrrpd");
            return Some(ExitCode::FAILURE);
        }
        if let Some(number) = self.signum {
            println!("{number}");
            return Some(ExitCode::SUCCESS);
        }
        self.config_test()
    }

    fn config_test(&self) -> Option<ExitCode> {
        let file = self.config_test.as_ref()?.as_deref();
        if let Some(name) = &self.namespace
            && let Err(error) = namespace::enter(name)
        {
            eprintln!("vrrpd: {error:#}");
            return Some(ExitCode::FAILURE);
        }
        // keepalived's -tFILE says where the findings go. Who names no configuration beside it means this one.
        let (path, findings) = match (&self.use_file, file) {
            (Some(path), findings) => (path.as_path(), findings),
            (None, Some(path)) => (path, None),
            (None, None) => (Path::new(files::CONFIG), None),
        };
        let checked = files::check(path, &self.how());
        match findings {
            None => eprint!("{}", checked.report()),
            Some(file) => {
                if let Err(error) = std::fs::write(file, checked.report()) {
                    eprintln!("vrrpd: {}: {error}", file.display());
                    return Some(ExitCode::FAILURE);
                }
            }
        }
        Some(ExitCode::from(checked.exit_code()))
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.use_file.clone().unwrap_or_else(|| files::CONFIG.into())
    }

    /// Where log lines go.
    pub fn log(&self) -> log::Wanted {
        log::Wanted {
            console: self.log_console,
            facility: (!self.no_syslog).then_some(self.log_facility),
            file: self.log_file.clone(),
        }
    }

    /// Where others find the daemon, as the configuration and these flags have it.
    pub fn places(&self, identity: &Identity, log: Option<log::Loss>) -> Places {
        let run_dir = self.run_dir.clone();
        let [main, vrrp] = run_dir.as_deref().map_or_else(|| identity.pid_files(), identity::pid_files_in);
        let asked = |file: &Option<PathBuf>, default| file.clone().unwrap_or(default);
        Places {
            no_bfd: self.no_bfd,
            pid_files: vec![asked(&self.pid, main), asked(&self.vrrp_pid, vrrp)],
            run_dir: run_dir.unwrap_or_else(|| identity.run_dir()),
            config: self.config(),
            how: self.how(),
            log,
        }
    }

    /// Permissions that new files do not have.
    pub fn umask(&self, service: &Service) -> u16 {
        self.umask.or(service.umask).unwrap_or(Service::UMASK)
    }

    /// Whether a core is to be dumped.
    pub fn dumps_core(&self) -> bool {
        self.core_dump || self.idle.core_dump_pattern.is_some()
    }

    /// Says in the log which flags, and which keywords like them, change what keepalived would do.
    pub fn warn(&self, setup: &Setup) {
        let Idle { dont_release_vrrp, snmp, snmp_agent_socket, core_dump_pattern, .. } = &self.idle;
        let without_snmp = format!("-x and the keywords of SNMP have no effect: {NO_SNMP}");
        for (given, text) in [
            (*dont_release_vrrp, "-V has no effect: addresses go with the daemon, or they would be on two hosts"),
            (*snmp || snmp_agent_socket.is_some() || setup.telling.wants_snmp, without_snmp.as_str()),
            (core_dump_pattern.is_some(), "-M leaves kernel.core_pattern as it is; cores are dumped, as by -m"),
        ] {
            if given {
                tracing::warn!("{text}");
            }
        }
    }
}

/// syslog(3)'s number.
fn facility(word: &str) -> Result<u8, String> {
    match (word, word.strip_prefix("local").unwrap_or(word).parse::<u8>()) {
        ("user", _) => Ok(1),
        ("daemon", _) => Ok(3),
        (_, Ok(local @ 0..=7)) => Ok(16 + local),
        _ => Err("expected 0 to 7, local0 to local7, user or daemon".into()),
    }
}

fn mask(word: &str) -> Result<u16, String> {
    Umask::parse(word).map(|mask| mask.0).ok_or_else(|| "expected 0 to 0777, such as 0177".into())
}

fn signal(function: &str) -> Result<i32, String> {
    Asked::number(function).ok_or_else(|| format!("expected one of {}", Asked::FUNCTIONS.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, ErrorKind> {
        Cli::try_parse_from(line.split(' ')).map_err(|error| error.kind())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn keepalived_command_lines_are_taken() {
        let cli = parse("vrrpd --dont-fork --log-console -D -D -P --pid=/run/x.pid").unwrap();
        assert!(cli.dont_fork && cli.log_console && cli.idle.vrrp);
        assert_eq!((cli.log_detail, cli.pid.clone()), (2, Some("/run/x.pid".into())));
        assert_eq!(cli.config(), PathBuf::from(files::CONFIG));
        assert_eq!(parse("vrrpd -nlDG -f /etc/k.conf").unwrap().config(), PathBuf::from("/etc/k.conf"));
        for (line, file) in [
            ("-t", None),
            ("-t -f k", None),
            ("-tk", Some("k")),
            ("--config-test=k", Some("k")),
            ("--config-test", None),
        ] {
            let cli = parse(&format!("vrrpd {line}")).unwrap();
            assert_eq!(cli.config_test, Some(file.map(PathBuf::from)), "{line}");
        }
        assert_eq!(parse("vrrpd --frobnicate").unwrap_err(), ErrorKind::UnknownArgument);
        assert_eq!(parse("vrrpd -v").unwrap_err(), ErrorKind::DisplayVersion);
    }

    /// Every flag that `keepalived -h` lists, short and long.
    #[test]
    fn every_flag_of_keepalived_is_known() {
        for line in [
            "-f k -P -B --all -l -D -S 3 -g -G -u 022 -X -V -I -R -n -d -p p -r r -c c -b b -a -x -A s -s ns -m -M -e -i id",
            "--use-file=k --vrrp --no_bfd --log-console --log-detail --log-facility=local3 --log-file=/tmp/x --flush-log-file",
            "--no-syslog --umask=0177 --release-vips --dont-release-vrrp --dont-release-ipvs --dont-respawn --dont-fork",
            "--dump-conf --pid=p --vrrp_pid=r --checkers_pid=c --bfd_pid=b --address-monitoring --snmp --namespace=ns",
            "--snmp-agent-socket=s --core-dump --core-dump-pattern=core --all-config --config-id id --ignore-sigint",
            "--signum=STATS_CLEAR --config-test --perf=all --debug=x -C -T --check --genhash",
            "--dont-f --log-c -nDlPS7 -u0177",
        ] {
            parse(&format!("vrrpd {line}")).unwrap_or_else(|kind| panic!("{line}: {kind:?}"));
        }
        assert_eq!(parse("vrrpd --signum=FOO").unwrap_err(), ErrorKind::ValueValidation);
        assert_eq!(parse("vrrpd -S 8").unwrap_err(), ErrorKind::ValueValidation);
    }

    #[test]
    fn paths_hold_in_any_directory() {
        let here = std::env::current_dir().unwrap();
        let cli = parse("vrrpd -f k.conf --run-dir r -p p -g log").unwrap().anchored();
        assert_eq!((cli.config(), cli.log().file), (here.join("k.conf"), Some(here.join("log"))));
        let places = cli.places(&Identity::default(), None);
        assert_eq!(
            (places.run_dir, &places.pid_files[..]),
            (here.join("r"), &[here.join("p"), here.join("r/vrrp.pid")][..])
        );
    }

    #[test]
    fn log_and_places_are_as_asked() {
        let cli = parse("vrrpd -S local3 -g").unwrap();
        assert_eq!((cli.log().facility, cli.log().console), (Some(19), false));
        assert_eq!(cli.log().file, Some("/tmp/keepalived.log".into()));
        let files = |line: &str| parse(line).unwrap().places(&Identity::default(), None).pid_files;
        assert_eq!(files("vrrpd"), ["/run/keepalived.pid", "/run/vrrp.pid"].map(PathBuf::from));
        assert_eq!(files("vrrpd -p /a --run-dir /b"), ["/a", "/b/vrrp.pid"].map(PathBuf::from));
        let service = Service { umask: Some(0o27), ..Service::default() };
        assert_eq!(["vrrpd", "vrrpd -u 22"].map(|line| parse(line).unwrap().umask(&service)), [0o27, 22]);
    }
}
