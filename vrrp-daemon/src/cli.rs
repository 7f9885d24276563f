//! The command line of vrrpd: keepalived's flags, and few of our own.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, Parser};

use crate::io::files::{self, How};

/// VRRP daemon that reads keepalived.conf
#[derive(Clone, Debug, Parser)]
#[command(name = "vrrpd", version, disable_version_flag = true)]
pub struct Cli {
    /// Configuration file
    #[arg(short = 'f', long = "use-file", value_name = "FILE", default_value = files::CONFIG)]
    pub use_file: PathBuf,

    /// Test the configuration, of FILE if given, and exit: 0 when nothing is wrong, 2 when a parameter is missing, 4
    /// when it cannot be read, 6 when scripts are not safe, 5 when anything else is wrong
    #[arg(short = 't', long = "config-test", value_name = "FILE", num_args = 0..=1)]
    pub config_test: Option<Option<PathBuf>>,

    /// Identity that @ID lines of the configuration compare with [default: the host's name up to its first dot]
    #[arg(short = 'i', long = "config-id", value_name = "ID")]
    pub config_id: Option<String>,

    /// Whatever the configuration includes must be there
    #[arg(short = 'e', long = "all-config")]
    pub all_config: bool,

    /// Directory of the control socket and of what else others find the daemon by
    #[arg(long = "run-dir", value_name = "DIR", default_value = "/run/vrrpd")]
    pub run_dir: PathBuf,

    /// File to write the daemon's pid to
    #[arg(short = 'p', long = "pid", value_name = "FILE")]
    pub pid: Option<PathBuf>,

    /// The same: there is one process
    #[arg(short = 'r', long = "vrrp_pid", value_name = "FILE")]
    pub vrrp_pid: Option<PathBuf>,

    /// Accepted, without effect: the log always goes to stderr
    #[arg(short = 'l', long = "log-console")]
    pub log_console: bool,

    /// Log more; twice: every packet
    #[arg(short = 'D', long = "log-detail", action = ArgAction::Count)]
    pub log_detail: u8,

    /// Accepted, without effect: the log does not go to the system's log
    #[arg(short = 'G', long = "no-syslog")]
    pub no_syslog: bool,

    /// Accepted, without effect: the daemon never leaves the foreground
    #[arg(short = 'n', long = "dont-fork")]
    pub dont_fork: bool,

    /// Accepted, without effect: there is nothing but VRRP
    #[arg(short = 'P', long = "vrrp")]
    pub vrrp: bool,

    /// Accepted, without effect: there are no child processes
    #[arg(short = 'R', long = "dont-respawn")]
    pub dont_respawn: bool,

    /// Accepted, without effect: ask vrrpctl
    #[arg(short = 'd', long = "dump-conf")]
    pub dump_conf: bool,

    /// Print the version and exit
    #[arg(short = 'v', long = "version", action = ArgAction::Version)]
    version: Option<bool>,
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
        Self::try_parse().map_err(|error| {
            // Nobody is left to tell when this cannot be printed.
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            }
        })
    }

    /// How the configuration is to be read.
    pub fn how(&self) -> How {
        How { id: self.config_id.clone(), all_includes: self.all_config }
    }

    /// The pid file that was asked for.
    pub fn pid_file(&self) -> Option<&PathBuf> {
        self.pid.as_ref().or(self.vrrp_pid.as_ref())
    }

    /// If a test of the configuration was asked for: prints what was found, and the code to exit with.
    pub fn config_test(&self) -> Option<ExitCode> {
        let path = self.config_test.as_ref()?.as_ref().unwrap_or(&self.use_file);
        let checked = files::check(path, &self.how());
        eprint!("{}", checked.report());
        Some(ExitCode::from(checked.exit_code()))
    }
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
        assert!(cli.dont_fork && cli.log_console && cli.vrrp);
        assert_eq!((cli.log_detail, cli.pid_file().cloned()), (2, Some("/run/x.pid".into())));
        assert_eq!(cli.use_file, PathBuf::from(files::CONFIG));
        assert_eq!(parse("vrrpd -nlDG -f /etc/k.conf").unwrap().use_file, PathBuf::from("/etc/k.conf"));
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
}
