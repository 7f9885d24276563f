//! Asks on schedule; of all questions only so many at a time.

use tokio::select;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

use super::{Check, Question, dns, http, icmp, tcp};
use crate::track::report::{Finding, Reading};
use crate::track::schedule::following;
use crate::track::watch::{Job, Stop, Watch};

/// Questions that are open at one time: each has a socket. Others wait, and their time begins when they are asked.
const OPEN: usize = 256;
static PLACES: Semaphore = Semaphore::const_new(OPEN);

impl Watch for Check {
    const TOGETHER: bool = false;

    fn say(name: &str, Finding { reading, text }: &Finding) {
        match reading {
            Reading::Passed => info!("VRRP_Check({name}) {text}"),
            _ => warn!("VRRP_Check({name}) {text}"),
        }
    }

    async fn watch(jobs: Vec<Job<Self>>, stop: Stop) {
        for Job { watched: Self { question, schedule }, reporter, fresh: _ } in jobs {
            let mut due = Instant::now();
            let mut step = schedule.phase(reporter.number());
            loop {
                select! {
                    () = sleep_until(due) => {}
                    () = stop.asked() => break,
                }
                let asking = async {
                    let _place = PLACES.acquire().await;
                    timeout(schedule.timeout, question.ask()).await
                };
                let answer = select! {
                    answer = asking => answer.unwrap_or_else(|_| Err(format!("no answer within {:?}", schedule.timeout))),
                    () = stop.asked() => break,
                };
                reporter.report(finding(answer)).await;
                due = following(due, step, schedule.interval, Instant::now());
                step = schedule.interval;
            }
        }
    }
}

impl Question {
    /// What was answered, or what was wrong with the answer.
    async fn ask(&self) -> Result<String, String> {
        match self {
            Self::Tcp(target) => tcp::ask(target).await,
            Self::Http(page) => http::ask(page).await,
            Self::Dns(query) => dns::ask(query).await,
            Self::Icmp(host) => icmp::ask(host).await,
        }
    }
}

fn finding(answer: Result<String, String>) -> Finding {
    match answer {
        Ok(answer) => Finding { reading: Reading::Passed, text: format!("succeeded ({answer})") },
        Err(why) => Finding { reading: Reading::Failed, text: format!("failed ({why})") },
    }
}

#[cfg(test)]
mod tests;
