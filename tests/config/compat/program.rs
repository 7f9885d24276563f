//! What docs/compat.md says of the program: flags, signals and exit codes, from the lists that the daemon goes by.

use std::collections::BTreeMap;
use std::fmt::Write;

use vrrp_daemon::cli;
use vrrp_daemon::io::exit::Exit;
use vrrp_daemon::io::signals::Asked;
use vrrp_daemon::syntax::diagnostic::Class;

use super::{Counts, Verdict, language};

/// keepalived's flags (`keepalived -h`), and which of ours each is.
pub fn flags(page: &mut String, counts: &mut Counts) {
    let _ = writeln!(
        page,
        "\n## Flags of the command line\n\n| flag | standing | what it means, or why not |\n|---|---|---|"
    );
    let command = cli::command();
    for &(short, long) in language::FLAGS {
        let ours = command.get_arguments().find(|ours| ours.get_long() == Some(long));
        let help = ours.and_then(|ours| ours.get_help()).map(ToString::to_string);
        let is_idle = ours.and_then(|ours| ours.get_help_heading()) == Some(cli::IDLE);
        let (verdict, text) = match help {
            None => (Verdict::Refused, "unknown here: usage is printed, and the exit code is 1".to_owned()),
            Some(help) => match help.strip_prefix("Refused: ") {
                Some(why) => (Verdict::Refused, why.to_owned()),
                None if is_idle => (Verdict::Accepted, help),
                None => (Verdict::Supported, help),
            },
        };
        *counts.entry(verdict).or_default() += 1;
        let short = short.map(|short| format!("`-{short}` ")).unwrap_or_default();
        let _ = writeln!(page, "| {short}`--{long}` | {} | {} |", verdict.label(), text.replace('|', "\\|"));
    }
}

/// All of keepalived's, which `--signum` names.
pub fn signals(page: &mut String) {
    let _ = writeln!(page, "\n## Signals\n\n| signal | `--signum` | what is done |\n|---|---|---|");
    for (function, signal, help) in Asked::TABLE {
        let number = Asked::number(function).unwrap_or_default();
        let _ = writeln!(page, "| {signal} ({number}) | {function} | {help} |");
    }
    let _ = writeln!(page, "\nPIPE is ignored, as by keepalived. keepalived's TDUMP is in its debug builds alone.");
}

/// The daemon's and those of a configuration test.
pub fn exit_codes(page: &mut String) {
    let _ = writeln!(
        page,
        "\n## Exit codes\n\n| code | of the daemon | of `vrrpd -t`, with the worst finding |\n|---|---|---|"
    );
    let mut codes: BTreeMap<u8, (String, Vec<String>)> = BTreeMap::new();
    for exit in Exit::ALL {
        codes.entry(exit.code()).or_default().0 = exit.when().to_owned();
    }
    for class in Class::ALL {
        codes.entry(class.exit_code()).or_default().1.push(format!("`{}`", class.label()));
    }
    for (code, (daemon, classes)) in codes {
        let test = if code == 0 { "none, or notices alone".into() } else { classes.join(", ") };
        let _ = writeln!(page, "| {code} | {daemon} | {test} |");
    }
    let _ = writeln!(
        page,
        "\nkeepalived's 70 (its own error) and 204 (no memory) are not used: a thread that panics makes it 1, and without \
         memory a process is aborted. A file that is not there is 4 in a test, where keepalived's is 0."
    );
}
