//! docs/man: the manual pages of the programs, from the definitions that they read their words by.
//!
//! `VRRP_BLESS=1` writes them anew.

use std::fs;
use std::path::Path;

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use vrrp_daemon::{cli, ctl};

/// A section that no definition has: its title, then what is named and what is said of it.
type Section = (&'static str, &'static [(&'static str, &'static str)]);

const VRRPD: &[Section] = &[
    (
        "EXIT STATUS",
        &[
            ("0", "It was stopped by a signal; of -t, there is nothing to report."),
            ("1", "Something is broken or busy, or the words were wrong."),
            ("2", "The configuration has no virtual router that could run here; of -t, a parameter is missing."),
            ("4", "CAP_NET_ADMIN or CAP_NET_RAW is missing; of -t, the file cannot be read."),
            ("5", "Of -t: anything else is wrong."),
            (
                "6",
                "There is no configuration; of -t, an include is missing, or others than root could change a script.",
            ),
        ],
    ),
    (
        "SIGNALS",
        &[
            ("SIGHUP", "Read the configuration anew. With an error in it nothing changes."),
            ("SIGTERM, SIGINT", "Hand over, and stop."),
            (
                "SIGUSR1, SIGUSR2",
                "Write the state, or the statistics, to a file as keepalived does; --signum has the others.",
            ),
        ],
    ),
    (
        "FILES",
        &[
            ("/etc/keepalived/keepalived.conf", "The configuration: vrrpd.conf(5)."),
            ("/etc/default/vrrpd", "Words that the unit adds to the command line."),
            ("/run/vrrpd", "The socket that vrrpctl asks at."),
            ("/run/keepalived.pid, /run/vrrp.pid", "The process."),
        ],
    ),
    (
        "WHEN SOMETHING IS WRONG",
        &[
            ("vrrpctl check", "What the configuration will do here, what of it is not done, and what is risky."),
            ("vrrpctl status", "Who is master, and why."),
            ("journalctl -u vrrpd", "What it said; with -D in /etc/default/vrrpd, more."),
        ],
    ),
    ("SEE ALSO", &[("vrrpctl(8), vrrpd.conf(5), keepalived.conf(5)", "")]),
];

const VRRPCTL: &[Section] = &[("SEE ALSO", &[("vrrpd(8), vrrpd.conf(5)", "")])];

fn pages() -> [(&'static str, String); 2] {
    [("vrrpd.8", page(cli::command(), VRRPD)), ("vrrpctl.8", page(ctl::command(), VRRPCTL))]
}

/// All of a program on one page, its subcommands too.
fn page(mut command: clap::Command, more: &[Section]) -> String {
    command.build();
    let name = command.get_name().to_owned();
    // No date, which would make the page another each day.
    let man = Man::new(command.clone()).section("8").date("").source("vrrpd").manual("vrrpd");
    let mut page = Vec::new();
    let shown = |error: std::io::Result<()>| error.expect("memory takes everything");
    shown(man.render_title(&mut page));
    shown(man.render_name_section(&mut page));
    shown(man.render_synopsis_section(&mut page));
    shown(man.render_description_section(&mut page));
    shown(man.render_options_section(&mut page));
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let mut part = Vec::new();
        // What all of them take is said above, once.
        let above = |sub: clap::Command, name| sub.mut_arg(name, |argument| argument.hide(true));
        let man = Man::new(["run_dir", "help"].into_iter().fold(sub.clone(), above));
        shown(man.render_synopsis_section(&mut part));
        shown(man.render_description_section(&mut part));
        shown(man.render_options_section(&mut part));
        let part = String::from_utf8(part).expect("text");
        let title = format!(".SH \"{} {}\"\n", name.to_uppercase(), sub.get_name().to_uppercase());
        page.extend((title + &part.replace(".SH ", ".SS ")).bytes());
    }
    shown(man.render_extra_section(&mut page));
    shown(sections(more).to_writer(&mut page));
    String::from_utf8(page).expect("text").replace(".SH EXTRA", ".SH NOTES")
}

fn sections(all: &[Section]) -> Roff {
    let mut roff = Roff::new();
    for (title, entries) in all {
        roff.control("SH", [*title]);
        for (what, said) in *entries {
            roff.control("TP", []);
            roff.text([bold(*what)]);
            roff.text([roman(*said)]);
        }
    }
    roff
}

#[test]
fn the_manual_pages_are_of_these_definitions() {
    for (name, page) in pages() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/man").join(name);
        if std::env::var_os("VRRP_BLESS").is_some() {
            fs::write(path, page).unwrap();
            continue;
        }
        let remedy = "write it by VRRP_BLESS=1 cargo test -p vrrp-tests --test config manual";
        assert!(fs::read_to_string(path).unwrap_or_default() == page, "docs/man/{name} is stale; {remedy}");
    }
}
