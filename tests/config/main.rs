//! keepalived.conf as text against what it comes to: `NAME.conf` against `NAME.expect`.
//!
//! `VRRP_BLESS=1` writes the expectations anew; read the difference before committing it.

mod alike;
mod compat;
mod fuzz;
mod host;
mod manual;
mod matching;
mod oracle;
mod paths;
mod risks;
mod summary;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use vrrp_daemon::config::{Checked, check};
use vrrp_daemon::syntax::expand::Reading;
use vrrp_daemon::syntax::source::Memory;
use vrrp_tests::effort;

/// The directory of the cases, and of the files that they include.
fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config")
}

/// Names of all cases, in order.
fn cases() -> Vec<String> {
    let entries = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut cases: Vec<String> = entries.filter_map(|name| Some(name.strip_suffix(".conf")?.to_owned())).collect();
    cases.sort();
    cases
}

/// All files of the directory by their names, so that expectations name no machine's path.
fn source() -> Memory {
    let mut source = Memory { hostname: "alpha".into(), ..Memory::default() };
    let part = |name: &str| (format!("{name}/"), directory().join(name));
    for (prefix, directory) in [(String::new(), directory()), part("parts"), part("iproute2")] {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
                source.files.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    source
}

fn read(source: &Memory, path: &str) -> Checked {
    check(&Reading { source, id: None, all_includes: false }, &host::Fixed, path)
}

#[test]
fn every_case_comes_to_what_is_expected() {
    let source = source();
    let bless = std::env::var_os("VRRP_BLESS").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let got = summary::of(&read(&source, &format!("{case}.conf")));
        let path = directory().join(format!("{case}.expect"));
        if bless {
            fs::write(path, got).unwrap();
            continue;
        }
        let want = fs::read_to_string(&path).unwrap_or_default();
        if got != want {
            wrong.push(format!("== {case}: expected\n{want}\n== {case}: got\n{got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_cases() {
    assert!(cases().len() >= 200);
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let checked = read(&Memory::default(), "/etc/keepalived/keepalived.conf");
    assert_eq!(checked.exit_code(), 4);
    assert!(!checked.is_readable());
    assert!(checked.setup.instances.is_empty());
}

#[test]
fn thousands_of_routers_and_addresses_are_read_at_once() {
    let text = "\
$VI= \\
vrrp_instance VI_${I}_${N} { \\
    interface eth${I} \\
    virtual_router_id ${N} \\
    virtual_ipaddress { 10.${I}.${N}.1 \\
    } \\
    track_script { chk \\
    } \\
}
global_defs {
    dynamic_interfaces
}
~SEQ(S,1000) vrrp_script S${S} { script /bin/true }
vrrp_script chk { script /bin/true }
~SEQ(I,20) ~SEQ(N,200) $VI
vrrp_instance many {
    virtual_router_id 1
    virtual_ipaddress { 10.0.0.1
    }
    virtual_ipaddress_excluded {
~SEQ(A,9) ~SEQ(B,111) 10.99.${A}.${B}
    }
}
";
    let began = effort::of_this_thread();
    let checked = read(&Memory::of("k.conf", text), "k.conf");
    assert_eq!(checked.setup.instances.len(), 4001, "{}", checked.report());
    assert_eq!(checked.setup.instances[4000].addresses.len(), 1000);
    assert_eq!(checked.setup.plan.trackers.len(), 1);
    let phases: BTreeSet<_> = checked.setup.plan.instances.iter().map(|instance| instance.phase).collect();
    assert_eq!(phases.len(), 16, "4001 adverts of one interval are 16 batches");
    // What is quadratic in routers takes minutes.
    let took = effort::of_this_thread() - began;
    assert!(took < std::time::Duration::from_secs(20), "{took:?}");
}

/// Every VRID on an interface, as many interfaces as may be: and then one more of each.
#[test]
fn limits_are_reached_and_not_passed() {
    let vrids = "\
$VI= \\
vrrp_instance VI_${N} { \\
    interface eth0 \\
    virtual_router_id ${N} \\
    virtual_ipaddress { 10.0.${N}.1 \\
    } \\
}
~SEQ(N,256) $VI
";
    let checked = read(&Memory::of("k.conf", vrids), "k.conf");
    assert_eq!(checked.setup.instances.len(), 255);
    assert!(checked.report().contains("`virtual_router_id` is `256`; expected"), "{}", checked.report());

    let interfaces = "\
global_defs {
    dynamic_interfaces
}
$VI= \\
vrrp_instance VI_${N} { \\
    interface eth${N} \\
    virtual_router_id 1 \\
    virtual_ipaddress { 10.0.0.1 \\
    } \\
}
~SEQ(N,4097) $VI
";
    let checked = read(&Memory::of("k.conf", interfaces), "k.conf");
    assert_eq!((checked.setup.interfaces.len(), checked.setup.instances.len()), (4096, 4096));
    assert!(checked.report().contains("interface `eth4097` is one more than the 4096"), "{}", checked.report());
    assert_eq!(checked.exit_code(), 5);
}

/// Whatever is refused is refused as a whole: the tables of a setup fit each other.
#[test]
fn tables_of_a_setup_fit_each_other() {
    let source = source();
    for case in cases() {
        let setup = read(&source, &format!("{case}.conf")).setup;
        summary::assert_consistent(&setup, &case);
    }
}
