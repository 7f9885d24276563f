//! What docs/compat.md says of the running daemon: what is alike, what is not, and the tests that show it.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use vrrp_tests::lines::{ALIKE, DIFFERENCES, Difference};

/// What keepalived does while it runs.
struct Behaviour {
    name: &'static str,
    /// What is done here, and where it differs.
    here: &'static str,
    /// `FILE::TEST` of the target `e2e`.
    shown: &'static [&'static str],
}

/// Declares [`BEHAVIOURS`]: `"name": "what is done here", tests`.
macro_rules! behaviours {
    ($($name:literal: $here:literal, [$($test:literal),+];)+) => {
        const BEHAVIOURS: &[Behaviour] = &[$(Behaviour { name: $name, here: $here, shown: &[$($test),+] }),+];
    };
}

behaviours! {
    "state scripts": "the same words, as the same user, with no argument added",
        ["scripts::notify_scripts_get_keepalived_s_arguments", "sync_groups::scripts_of_a_group_are_told_what_keepalived_s_are"];
    "`notify`": "`INSTANCE|GROUP NAME STATE PRIORITY` is added, octet by octet as by 2.2.7",
        ["scripts::notify_scripts_get_keepalived_s_arguments", "sync_groups::scripts_of_a_group_are_told_what_keepalived_s_are"];
    "FIFOs": "the same lines in the same order, members before their group; a reader is started, and ended",
        ["fifo::a_fifo_is_told_what_keepalived_tells", "fifo::a_fifo_hears_of_members_before_their_group_as_from_keepalived",
        "fifo::a_reader_is_started_and_ended_as_keepalived_does"];
    "log lines": "those that people look for, by the same words; the table below has them", ["lines::keepalived_writes_the_same"];
    "`keepalived.data`": "what exporters read of it; passwords are not shown. Sockets, sizes of buffers, kernel settings and \
        scheduling are not in it", ["dumps::data_is_what_exporters_read_of_keepalived_s"];
    "`keepalived.stats`": "the same text", ["dumps::statistics_are_keepalived_s_and_begin_anew"];
    "`keepalived.json`": "both versions, by the same keys in the same order, but that `track_process` of version 2 is empty; passwords are `********`, as since 2.4.0",
        ["dumps::json_is_keepalived_s_key_by_key"];
    "files of dumps": "a new file takes the place of the old one: links are not followed, and the mode is 0600",
        ["dumps::json_is_keepalived_s_key_by_key"];
    "pid files": "the same places, of one process: both files have its number", ["service::instances_have_places_of_their_own"];
    "to the background": "the caller waits until the daemon is up; keepalived's does not",
        ["service::in_the_background_its_starter_waits_until_it_is_up"];
    "names, places and times": "of the process, of files and interfaces, of tables and scripts, as `global_defs` has them",
        ["settings::names_and_places", "settings::scripts_before_and_after_have_their_time", "settings::announcements_have_their_pace"];
    "readiness": "told to the service manager (`Type=notify`)", ["service::a_service_manager_is_told_when_it_is_up_and_when_it_stops"];
    "stopping": "priority 0, then addresses go; SIGKILL leaves nothing behind, where keepalived leaves all",
        ["tidiness::sigterm_leaves_nothing", "tidiness::sigkill_leaves_no_address_and_no_program"];
    "reload": "validated whole, then applied; an error that ends keepalived (or leaves it with less) changes nothing here. What \
        keepalived loses stays: timers, the known master, delays",
        ["reload::a_wrong_configuration_changes_nothing", "reload::a_thousand_reload_without_a_missed_advert"];
    "trackers": "weights, `reverse`, faults, `rise` and `fall` are keepalived's; equal scripts run once for all",
        ["weights::they_count_as_keepalived_has_them", "weights::reverse_is_keepalived_s", "weights::an_interface_moves_mastership",
        "trackers::a_number_in_a_file_moves_mastership", "trackers::a_process_moves_mastership",
        "trackers::processes_are_counted_as_the_configuration_says",
        "trackers::equal_scripts_run_once_for_all", "bfd::frr_sees_what_we_see_and_mastership_follows"];
    "routes and rules": "appear and leave with mastership; each word means what it means to `ip`",
        ["routes::they_come_and_go_with_mastership", "routes::statics", "words::words_mean_what_they_mean_to_ip"];
    "sync groups": "change state together", ["sync_groups::a_group_moves_as_one_before_keepalived"];
}

/// The table, and how each row is shown.
pub fn table(page: &mut String) {
    let _ = writeln!(page, "\n## While it runs\n\n| what | here | shown by |\n|---|---|---|");
    for Behaviour { name, here, shown } in BEHAVIOURS {
        let shown: Vec<_> = shown
            .iter()
            .filter_map(|test| test.split_once("::"))
            .map(|(file, test)| format!("[{test}](../tests/e2e/{file}.rs)"))
            .collect();
        let _ = writeln!(page, "| {name} | {} | {} |", here.replace('|', "\\|"), shown.join(", "));
    }
}

/// Lines of the log, as keepalived 2.2.7 has them with `-D`.
pub fn lines(page: &mut String) {
    let _ = writeln!(page, "\n## Lines of the log\n\nFrom both, with the same values; `*` stands for them:\n");
    ALIKE.iter().for_each(|line| {
        let _ = writeln!(page, "    {line}");
    });
    let _ = writeln!(page, "\nFrom one of the two, or otherwise:\n\n| keepalived | here | why |\n|---|---|---|");
    let shown = |line: &str| if line.is_empty() { String::new() } else { format!("`{line}`") };
    for Difference { theirs, ours, why, by_chance: _ } in DIFFERENCES {
        let _ = writeln!(page, "| {} | {} | {why} |", shown(theirs), shown(ours));
    }
}

#[test]
fn every_behaviour_is_shown_by_a_test() {
    let e2e = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e");
    for Behaviour { name, shown, .. } in BEHAVIOURS {
        for test in *shown {
            let (file, function) = test.split_once("::").unwrap();
            let text = fs::read_to_string(e2e.join(format!("{file}.rs"))).unwrap_or_default();
            assert!(text.contains(&format!("#[test]\nfn {function}()")), "{name}: there is no test {test}");
        }
    }
}
