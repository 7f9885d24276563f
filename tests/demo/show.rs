//! How the demonstration is told: each step in a few lines while it happens, and all of them in a table at the end.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use vrrp_tests::stamp::{Millis, Stamp};

/// One line of the table.
struct Row {
    title: String,
    expected: String,
    measured: String,
    held: bool,
}

pub struct Show {
    rows: Vec<Row>,
    colours: bool,
}

/// What theory allows a time to be.
#[derive(Clone, Copy)]
pub struct Expected {
    pub least: Duration,
    pub most: Duration,
    /// What a machine that has other things to do may add.
    pub lateness: Duration,
}

impl Expected {
    pub fn holds(self, measured: Duration) -> bool {
        // A probe each millisecond cannot see more exactly than that, nor two of them.
        measured + Duration::from_millis(3) >= self.least && measured <= self.most + self.lateness
    }

    fn text(self) -> String {
        if self.most.is_zero() {
            "none".into()
        } else if self.least.is_zero() {
            format!("at most {}", Millis(self.most))
        } else if self.most - self.least < Duration::from_millis(1) {
            Millis(self.most).to_string()
        } else {
            format!("{} to {}", Millis(self.least), Millis(self.most))
        }
    }
}

impl Show {
    pub fn new() -> Self {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { rows: Vec::new(), colours }
    }

    pub fn opening(&self) {
        println!(
            "{}\n",
            self.bold("vrrpd: two routers share one address, and a client must not notice when one of them dies")
        );
        println!("    router A  192.168.1.2 ---.");
        println!("    router B  192.168.1.3 ---+--- switch, where every frame is timed    shared: 192.168.1.100");
        println!("    client    192.168.1.10 --+      the client sends the shared address one ping each millisecond");
        println!("    attacker ----------------'      (all of it in network namespaces, gone at the end)\n");
    }

    pub fn chapter(&self, text: &str) {
        println!("{}\n", self.bold(text));
    }

    /// Announces a step: its title, and what it shows.
    pub fn step(&self, title: &str, what: &str) {
        println!("{} {}", self.bold(&format!("{}. {title}", self.rows.len() + 1)), self.dim(&format!("- {what}")));
    }

    /// Something that happened, so long after `start`.
    pub fn happened(&self, start: Stamp, at: Stamp, what: &str) {
        println!("    {:>8}  {what}", Millis(at - start).to_string());
        let _ = std::io::stdout().flush();
    }

    /// Ends a step that was measured in time: `what` was awaited, `why` is the theory in words.
    pub fn measured(&mut self, title: &str, what: &str, why: &str, expected: Expected, measured: Duration) {
        let held = expected.holds(measured);
        println!("    {what}: expected {} ({why}), measured {}", expected.text(), Millis(measured));
        self.finish(title, &format!("{what}: {}", expected.text()), &Millis(measured).to_string(), held);
    }

    /// Ends a step.
    pub fn finish(&mut self, title: &str, expected: &str, measured: &str, held: bool) {
        println!("    {}\n", self.verdict(held));
        self.rows.push(Row { title: title.into(), expected: expected.into(), measured: measured.into(), held });
    }

    pub fn note(&self, text: &str) {
        println!("    {text}");
    }

    /// The table; whether every step held.
    pub fn table(&self, took: Duration) -> bool {
        let width = |of: fn(&Row) -> &str| self.rows.iter().map(|row| of(row).len()).max().unwrap_or_default();
        let (first, second) = (width(|row| &row.title), width(|row| &row.expected));
        let third = width(|row| &row.measured);
        for row in &self.rows {
            let verdict = self.verdict(row.held);
            println!("  {:first$}  {:second$}  {:>third$}  {verdict}", row.title, row.expected, row.measured);
        }
        let held = !self.rows.is_empty() && self.rows.iter().all(|row| row.held);
        let count = self.rows.iter().filter(|row| row.held).count();
        println!("\n  {count} of {} steps held, in {} s", self.rows.len(), took.as_secs());
        held
    }

    fn verdict(&self, held: bool) -> String {
        match (held, self.colours) {
            (true, true) => "\x1b[32mheld\x1b[0m".into(),
            (false, true) => "\x1b[31mDID NOT HOLD\x1b[0m".into(),
            (true, false) => "held".into(),
            (false, false) => "DID NOT HOLD".into(),
        }
    }

    fn bold(&self, text: &str) -> String {
        if self.colours { format!("\x1b[1m{text}\x1b[0m") } else { text.into() }
    }

    fn dim(&self, text: &str) -> String {
        if self.colours { format!("\x1b[2m{text}\x1b[0m") } else { text.into() }
    }
}
