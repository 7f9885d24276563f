//! `startup_script` and `shutdown_script`: run before the daemon touches anything, and when it has let go of everything.

use tokio::time::timeout;
use tracing::{info, warn};

use crate::config::setup::Bracket;
use crate::track::run::{Bond, GRACE, Outcome};

/// Runs it and waits for its end, or for the end of its time. What becomes of it is logged; the daemon goes on either way,
/// as keepalived does.
pub fn run(bracket: &Bracket, keyword: &str) {
    let name = bracket.command.argv.join(" ");
    info!("Running {keyword} {name}");
    match outcome(bracket) {
        Outcome::Exited(0) => {}
        Outcome::Exited(status) => warn!("{keyword} {name} failed (exited with status {status})"),
        Outcome::Signaled(signal) => warn!("{keyword} {name} failed (due to signal {signal})"),
        Outcome::TimedOut => warn!("{keyword} {name} timed out after {:?} and was ended", bracket.timeout),
        Outcome::FailedToStart(why) => warn!("{keyword} {name} could not be started: {why}"),
    }
}

fn outcome(bracket: &Bracket) -> Outcome {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Outcome::FailedToStart(error.to_string()),
    };
    runtime.block_on(async {
        let mut run = match bracket.command.start(&[], Bond::EndsWithUs) {
            Ok(run) => run,
            Err(error) => return Outcome::FailedToStart(error.to_string()),
        };
        match timeout(bracket.timeout, run.finish()).await {
            Ok(outcome) => outcome,
            Err(_) => {
                run.end(GRACE).await;
                Outcome::TimedOut
            }
        }
    })
}
