//! vrrpd: reads its configuration, then runs as the configuration says.

use std::process::ExitCode;
use std::sync::Arc;

use nix::sys::stat::{Mode, umask};
use vrrp_daemon::cli::Cli;
use vrrp_daemon::config::setup::Setup;
use vrrp_daemon::io::exit::Exit;
use vrrp_daemon::io::guard::Guard;
use vrrp_daemon::io::identity::Identity;
use vrrp_daemon::io::log::Log;
use vrrp_daemon::io::run::{self, Failure};
use vrrp_daemon::io::service::Starter;
use vrrp_daemon::io::signals::Signals;
use vrrp_daemon::io::{bfd, files, log, namespace, privilege};
use vrrp_daemon::track::run::limits;

fn main() -> ExitCode {
    privilege::keep_little();
    limits::remember();
    let cli = match Cli::from_process() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    if let Some(code) = cli.answer() {
        return code;
    }
    let code = start(&cli).unwrap_or_else(|error| {
        eprintln!("vrrpd: {error:#}");
        Exit::Fatal
    });
    ExitCode::from(code.code())
}

/// In the foreground, or in the background with the caller waiting.
fn start(cli: &Cli) -> anyhow::Result<Exit> {
    let log = cli.log();
    let mut starter = Starter::default();
    if !cli.dont_fork {
        starter = Starter::left_behind(log.console)?;
    }
    // The guard is a fork, and the log has a thread.
    let guard = Guard::start(!cli.dont_fork)?;
    let log = log::start(cli.log_detail, &log)?;
    let code = match daemon(cli, guard, &log, &mut starter) {
        Ok(()) => Exit::Stopped,
        Err(Refused { code, why, is_logged }) => {
            if !is_logged {
                tracing::error!("{why}");
            }
            if !log.has_console() {
                eprintln!("vrrpd: {why}");
            }
            code
        }
    };
    drop(log);
    starter.is_over(code.code());
    Ok(code)
}

/// Why the daemon does not run, and what it exits with.
struct Refused {
    code: Exit,
    why: String,
    /// By the findings in the configuration.
    is_logged: bool,
}

impl<F: Into<Failure>> From<F> for Refused {
    fn from(failure: F) -> Self {
        let failure = failure.into();
        Self { code: failure.exit(), why: failure.to_string(), is_logged: false }
    }
}

/// Runs until it is stopped.
fn daemon(cli: &Cli, mut guard: Guard, log: &Log, starter: &mut Starter) -> Result<(), Refused> {
    tracing::info!("Starting vrrpd {} with {}", env!("CARGO_PKG_VERSION"), cli.config().display());
    if let Some(name) = &cli.namespace {
        namespace::enter(name)?;
    }
    let mut setup = setup(cli)?;
    cli.warn(&setup);
    setup.service.address_monitoring = cli.address_monitoring;
    if cli.no_bfd {
        bfd::leave_out(&mut setup);
    }
    let identity = Identity::new(&setup.service, cli.namespace.as_deref());
    log.is_of(identity.suffix());
    if let Some(name) = &identity.net_namespace {
        namespace::visit(name)?;
        guard.goes_to(name);
    }
    umask(Mode::from_bits_truncate(cli.umask(&setup.service).into()));
    privilege::name(setup.service.process_name.as_deref());
    if cli.dumps_core() {
        privilege::dump_core();
    }
    let signals = Signals::take(cli.ignore_sigint)?;
    Ok(run::run(setup, guard, &cli.places(&identity, Some(log.loss())), signals, starter)?)
}

/// What the configuration comes to. Of all that reading it took nothing stays.
fn setup(cli: &Cli) -> Result<Setup, Refused> {
    let path = cli.config();
    let checked = files::check(&path, &cli.how());
    log::findings(&checked);
    let refused = |code, is_logged, why: &str| {
        Err(Refused { code, why: format!("{why} {0}; `vrrpd -t -f {0}` says more", path.display()), is_logged })
    };
    if !checked.is_readable() {
        return refused(Exit::NoConfiguration, true, "there is no configuration in");
    }
    if checked.exit_code() == Exit::Configuration.code() {
        return refused(Exit::Configuration, true, "a parameter is missing in");
    }
    // Nothing but a daemon that looks well and serves nobody.
    if checked.setup.instances.is_empty() && checked.has_errors() {
        return refused(Exit::Configuration, false, "no virtual router is left of");
    }
    let mut setup = checked.setup.clone();
    setup.plan.instances = Arc::new(Vec::clone(&setup.plan.instances));
    Ok(setup)
}
