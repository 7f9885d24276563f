//! vrrpd: reads its configuration, then runs as the configuration says.

use std::process::ExitCode;
use std::sync::Arc;

use vrrp_daemon::cli::Cli;
use vrrp_daemon::config::setup::Setup;
use vrrp_daemon::io::guard::Guard;
use vrrp_daemon::io::run::{self, Places};
use vrrp_daemon::io::{files, log, privilege};

/// keepalived's exit code when there is no configuration.
const NO_CONFIGURATION: u8 = 6;
/// keepalived's exit code when a configuration is of no use to the daemon.
const UNUSABLE_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    privilege::keep_little();
    let cli = match Cli::from_process() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    if let Some(code) = cli.config_test() {
        return code;
    }
    // The guard is a fork, and the log has a thread.
    let (guard, log) = match Guard::start().and_then(|guard| Ok((guard, log::start(cli.log_detail)?))) {
        Ok(started) => started,
        Err(error) => {
            eprintln!("vrrpd: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    tracing::info!("Starting vrrpd {} with {}", env!("CARGO_PKG_VERSION"), cli.use_file.display());
    let setup = match setup(&cli) {
        Ok(setup) => setup,
        Err(code) => return ExitCode::from(code),
    };
    let how = cli.how();
    let places = Places {
        pid_file: cli.pid_file().cloned(),
        run_dir: cli.run_dir,
        config: cli.use_file,
        how,
        log: Some(log.loss()),
    };
    match run::run(setup, guard, &places) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{failure}");
            failure.exit_code()
        }
    }
}

/// What the configuration comes to, or the code to exit with. Of all that reading it took nothing stays.
fn setup(cli: &Cli) -> Result<Setup, u8> {
    let checked = files::check(&cli.use_file, &cli.how());
    log::findings(&checked);
    if !checked.is_readable() {
        return Err(NO_CONFIGURATION);
    }
    if checked.exit_code() == UNUSABLE_CONFIGURATION {
        return Err(UNUSABLE_CONFIGURATION);
    }
    // Nothing but a daemon that looks well and serves nobody.
    if checked.setup.instances.is_empty() && checked.has_errors() {
        tracing::error!("no virtual router is left of {}", cli.use_file.display());
        return Err(UNUSABLE_CONFIGURATION);
    }
    let mut setup = checked.setup.clone();
    setup.plan.instances = Arc::new(Vec::clone(&setup.plan.instances));
    Ok(setup)
}
