//! vrrpctl: everything an operator asks. All of it is in [`vrrp_daemon::ctl`].

use std::process::ExitCode;

fn main() -> ExitCode {
    vrrp_daemon::ctl::main()
}
