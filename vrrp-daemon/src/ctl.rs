//! The program `vrrpctl`: its arguments, and the conversation with the daemon. How answers look is in [`render`].

mod check;
mod judge;
mod render;
mod timing;

use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};

use crate::io::control::{self, Answer, Ask};
use crate::io::status::Status;
use render::Paint;

/// How much longer than the daemon's own limit it may take to hear its answer.
const GRACE: Duration = Duration::from_secs(5);

/// Octets of an answer; a thousand instances are about a megabyte.
const ANSWER_LENGTH: u64 = 256 << 20;

/// Asks a running vrrpd who is master, and why.
#[derive(Debug, Parser)]
#[command(
    name = "vrrpctl",
    version,
    after_help = "Exit status: 0 done, 1 no daemon answers or it refused, 2 wrong use; of check that of vrrpd -t."
)]
struct Arguments {
    /// The daemon's run directory, with its control socket
    #[arg(long, value_name = "DIR", default_value = control::RUN_DIR, global = true)]
    run_dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show every instance, or one in detail
    Status {
        /// As the daemon says it, for programs; the field names are stable
        #[arg(long)]
        json: bool,
        /// Only this vrrp_instance
        #[arg(value_name = "INSTANCE")]
        instance: Option<String>,
    },
    /// Have the daemon read its configuration anew; done when it is applied, and says what is wrong when it is not
    Reload,
    /// Show how late adverts, takeovers and wake-ups were, by powers of two
    Timing,
    /// Say what a configuration will do here, what of it is not done, and what is risky; needs no daemon
    Check(check::Arguments),
    /// Say of each frame in a capture what a configuration makes of it, and why; needs no daemon
    Judge(judge::Arguments),
}

/// The definition, for documentation.
pub fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.command {
        Command::Check(arguments) => match check::run(arguments) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Status { json, instance } => status(&arguments.run_dir, *json, instance.as_deref()),
        Command::Reload => reload(&arguments.run_dir),
        Command::Timing => timing(&arguments.run_dir),
        Command::Judge(arguments) => judge::run(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vrrpctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `vrrpctl status | head` is not an error.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn status(run_dir: &Path, json: bool, instance: Option<&str>) -> anyhow::Result<()> {
    let mut status = ask_status(run_dir)?;
    if let Some(name) = instance {
        choose(&mut status, name)?;
    }
    let mut stdout = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut stdout, &status).map_err(io::Error::from)?;
        writeln!(stdout)?;
    } else {
        let paint = Paint::when(stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty()));
        stdout.write_all(render::status(&status, instance.is_some(), paint).as_bytes())?;
    }
    Ok(stdout.flush()?)
}

fn reload(run_dir: &Path) -> anyhow::Result<()> {
    match ask(run_dir, Ask::Reload)? {
        Answer::Done(()) => Ok(()),
        Answer::Error(why) => bail!("{why}"),
        Answer::Status(_) => bail!("the daemon answered something else than was asked"),
    }
}

fn timing(run_dir: &Path) -> anyhow::Result<()> {
    let text = timing::histograms(&ask_status(run_dir)?.daemon.late);
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

fn ask_status(run_dir: &Path) -> anyhow::Result<Status> {
    match ask(run_dir, Ask::Status)? {
        Answer::Status(status) => Ok(*status),
        Answer::Error(why) => bail!("{why}"),
        Answer::Done(()) => bail!("the daemon answered something else than was asked"),
    }
}

/// Leaves one instance, and the interface it is on.
fn choose(status: &mut Status, name: &str) -> anyhow::Result<()> {
    if !status.instances.iter().any(|instance| instance.name == name) {
        let names: Vec<_> = status.instances.iter().map(|instance| instance.name.as_str()).collect();
        bail!("there is no vrrp_instance {name}; there are: {}", names.join(", "));
    }
    status.instances.retain(|instance| instance.name == name);
    status.groups.retain(|group| group.members.iter().any(|member| member == name));
    status.interfaces.retain(|interface| status.instances.iter().any(|instance| instance.interface == interface.name));
    Ok(())
}

/// Asks the daemon of a run directory.
fn ask(run_dir: &Path, ask: Ask) -> anyhow::Result<Answer> {
    let path = run_dir.join(control::NAME);
    let mut stream = match UnixStream::connect(&path) {
        Ok(stream) => stream,
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => bail!(
                "no vrrpd answers at {} - start it (systemctl start vrrpd), or name its --run-dir",
                path.display()
            ),
            io::ErrorKind::PermissionDenied => bail!("{} is for root alone - try again with sudo", path.display()),
            _ => return Err(error).with_context(|| path.display().to_string()),
        },
    };
    stream.set_read_timeout(Some(ask.time() + GRACE))?;
    stream.set_write_timeout(Some(GRACE))?;
    let mut line = serde_json::to_vec(&ask)?;
    line.push(b'\n');
    let mut answer = Vec::new();
    let conversation = stream.write_all(&line).and_then(|()| {
        // Not to the end of the connection: a line is an answer.
        BufReader::new(stream.take(ANSWER_LENGTH)).read_until(b'\n', &mut answer)
    });
    conversation.with_context(|| format!("vrrpd at {} does not answer", path.display()))?;
    serde_json::from_slice(&answer)
        .with_context(|| format!("vrrpd at {} answers what vrrpctl does not understand; same version?", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dir;

    #[test]
    fn arguments() {
        command().debug_assert();
        let parsed = Arguments::try_parse_from(["vrrpctl", "--run-dir", "/x", "status", "--json", "VI_1"]).unwrap();
        assert_eq!(parsed.run_dir, Path::new("/x"));
        assert!(matches!(parsed.command, Command::Status { json: true, instance: Some(name) } if name == "VI_1"));
        let judge = ["vrrpctl", "judge", "a.pcap", "-f", "keepalived.conf", "--interface", "eth0", "--kernel"];
        assert!(Arguments::try_parse_from(judge).is_ok());
        assert!(Arguments::try_parse_from(["vrrpctl", "judge", "a.pcap"]).is_err(), "a configuration is needed");
    }

    #[test]
    fn no_daemon_is_one_line_with_what_to_do() {
        let dir = Dir::new();
        let path = dir.join(control::NAME);
        let expected =
            format!("no vrrpd answers at {} - start it (systemctl start vrrpd), or name its --run-dir", path.display());
        assert_eq!(ask(dir.path(), Ask::Status).unwrap_err().to_string(), expected);
        // As a crash leaves it.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert_eq!(ask(dir.path(), Ask::Status).unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_question_is_a_line_and_so_is_the_answer() {
        let dir = Dir::new();
        let listener = std::os::unix::net::UnixListener::bind(dir.join(control::NAME)).unwrap();
        let daemon = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = [0; 15];
            stream.read_exact(&mut question).unwrap();
            stream.write_all(b"{\"error\":\"no\"}\n").unwrap();
            (question, stream)
        });
        let answer = ask(dir.path(), Ask::Status).unwrap();
        assert!(matches!(answer, Answer::Error(why) if why == "no"));
        assert_eq!(&daemon.join().unwrap().0, b"{\"do\":\"status\"}");
    }
}
