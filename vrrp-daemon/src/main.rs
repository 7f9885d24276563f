//! vrrpd: reads its configuration, then runs as the configuration says.

use std::process::ExitCode;

use vrrp_daemon::cli::Cli;
use vrrp_daemon::io::run::{self, Places};
use vrrp_daemon::io::{files, guard, log};

/// keepalived's exit code when there is no configuration.
const NO_CONFIGURATION: u8 = 6;
/// keepalived's exit code when a configuration is of no use to the daemon.
const UNUSABLE_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == guard::ARGUMENT) {
        return guard::main();
    }
    let cli = match Cli::from_process() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    if let Some(code) = cli.config_test() {
        return code;
    }
    let log = match log::start(cli.log_detail) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("vrrpd: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    tracing::info!("Starting vrrpd {} with {}", env!("CARGO_PKG_VERSION"), cli.use_file.display());
    let checked = files::check(&cli.use_file, cli.config_id.as_deref());
    log::findings(&checked);
    if !checked.is_readable() {
        return ExitCode::from(NO_CONFIGURATION);
    }
    if checked.exit_code() == UNUSABLE_CONFIGURATION {
        return ExitCode::from(UNUSABLE_CONFIGURATION);
    }
    // Nothing but a daemon that looks well and serves nobody.
    if checked.setup.instances.is_empty() && checked.has_errors() {
        tracing::error!("no virtual router is left of {}", cli.use_file.display());
        return ExitCode::from(UNUSABLE_CONFIGURATION);
    }
    let places = Places {
        pid_file: cli.pid_file().cloned(),
        run_dir: cli.run_dir,
        config: cli.use_file,
        config_id: cli.config_id,
        log: Some(log.loss()),
    };
    match run::run(checked.setup, &places) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{failure}");
            failure.exit_code()
        }
    }
}
