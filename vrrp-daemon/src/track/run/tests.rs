//! Runs of real processes: their user, environment, descriptors and end.

use std::os::fd::AsRawFd;

use super::*;
use crate::testing::{Dir, lives, shell, skip, wait_until_gone};
use crate::track::command::RunAs;

async fn outcome(command: Command) -> Outcome {
    match command.start(&[], Bond::EndsWithUs) {
        Ok(mut run) => tokio::time::timeout(Duration::from_secs(10), run.finish()).await.unwrap(),
        Err(error) => Outcome::FailedToStart(error.to_string()),
    }
}

#[tokio::test]
async fn outcomes() {
    let dir = Dir::new();
    assert_eq!(outcome(shell(&dir, "exit 0")).await, Outcome::Exited(0));
    assert_eq!(outcome(shell(&dir, "exit 3")).await, Outcome::Exited(3));
    assert_eq!(outcome(shell(&dir, "kill -9 $$")).await, Outcome::Signaled(9));
    let mut missing = shell(&dir, "");
    missing.argv[0] = "/nonexistent/x".into();
    assert!(matches!(outcome(missing).await, Outcome::FailedToStart(why) if why.contains("No such file")));
    let mut looked_up = shell(&dir, "exit 4");
    looked_up.argv[0] = "sh".into();
    assert_eq!(outcome(looked_up).await, Outcome::Exited(4));
}

/// `lsof` of the poor: what the script itself sees of what it inherited.
#[tokio::test]
async fn inherits_nothing_that_it_should_not() {
    let dir = Dir::new();
    // SAFETY: plain system calls of this thread alone; the descriptor is closed with the directory's handle.
    let leak = unsafe {
        let mut mask = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&mut mask);
        libc::sigaddset(&mut mask, libc::SIGUSR1);
        libc::pthread_sigmask(libc::SIG_BLOCK, &mask, std::ptr::null_mut());
        libc::signal(libc::SIGUSR2, libc::SIG_IGN);
        let fifo = libc::sched_param { sched_priority: 1 };
        libc::sched_setscheduler(0, libc::SCHED_FIFO, &fifo);
        libc::dup(std::fs::File::open("/").unwrap().as_raw_fd())
    };
    let text = r#"{ pwd; ls /proc/self/fd | wc -l; grep -E '^Sig(Blk|Ign)' /proc/self/status
        cut -d' ' -f5 /proc/$$/stat; echo $$; cut -d' ' -f41 /proc/$$/stat; readlink /proc/$$/fd/0 /proc/$$/fd/1
        } > $0/out 2>&1"#;
    assert_eq!(outcome(shell(&dir, text)).await, Outcome::Exited(0));
    // SAFETY: undoes the above.
    unsafe {
        let other = libc::sched_param { sched_priority: 0 };
        libc::sched_setscheduler(0, libc::SCHED_OTHER, &other);
        libc::close(leak);
    }
    let text = dir.read("out");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "/");
    assert_eq!(lines[1], "4", "three, and the one that ls opens: {text}");
    assert_eq!(lines[2], "SigBlk:\t0000000000000000");
    let ignored = u64::from_str_radix(lines[3].trim_start_matches("SigIgn:\t"), 16).unwrap();
    assert_eq!(ignored & !0x1_8000_0000, 0, "32 and 33 are libc's own and cannot be reset: {ignored:x}");
    assert_eq!(lines[4], lines[5], "leads its process group");
    assert_eq!(lines[6], "0", "SCHED_OTHER");
    assert_eq!(lines[7], "/dev/null");
}

#[tokio::test]
async fn environment_is_inherited_but_for_three_names() {
    let dir = Dir::new();
    for name in WITHHELD {
        // SAFETY: the names are read by nobody else in this process.
        unsafe { std::env::set_var(name, "") };
    }
    let command = shell(&dir, "env > $0/out");
    assert_eq!(outcome(command).await, Outcome::Exited(0));
    let text = dir.read("out");
    assert!(text.lines().any(|line| line.starts_with("PATH=")), "{text}");
    for name in WITHHELD {
        assert!(!text.lines().any(|line| line.starts_with(&format!("{name}="))), "{text}");
    }
}

#[tokio::test]
async fn runs_as_another_user_without_our_groups() {
    if !nix::unistd::geteuid().is_root() {
        return skip("runs_as_another_user_without_our_groups", "needs root");
    }
    let dir = Dir::new();
    std::fs::create_dir(dir.join("drop")).unwrap();
    nix::unistd::chown(&dir.join("drop"), Some(65534.into()), Some(65534.into())).unwrap();
    let mut command = shell(&dir, "grep -E '^(Uid|Gid|Groups)' /proc/self/status > $0/drop/out");
    command.run_as = RunAs { uid: 65534, gid: 65533 };
    assert_eq!(outcome(command).await, Outcome::Exited(0));
    let text = dir.read("drop/out");
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    assert_eq!(lines[0], "Uid:\t65534\t65534\t65534\t65534");
    assert_eq!(lines[1], "Gid:\t65533\t65533\t65533\t65533");
    assert_eq!(lines[2], "Groups:", "{text}");
}

#[tokio::test]
async fn who_ignores_sigterm_is_killed_with_the_grandchildren() {
    let dir = Dir::new();
    let text = "trap '' TERM; (while :; do sleep 100; done) & echo $! > $0/grandchild; echo $$ > $0/pid; wait";
    let run = shell(&dir, text).start(&[], Bond::EndsWithUs).unwrap();
    let pid = dir.wait_for("pid", |text| text.ends_with('\n')).await;
    let grandchild = dir.read("grandchild");
    assert!(lives(&pid) && lives(&grandchild));
    let start = Instant::now();
    run.end(Duration::from_millis(200)).await;
    assert!((200..1900).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    assert!(!lives(&pid));
    wait_until_gone(&grandchild).await;
}

#[tokio::test]
async fn who_heeds_sigterm_is_not_waited_for_but_its_grandchildren_are() {
    let dir = Dir::new();
    let run = shell(&dir, "echo $$ > $0/pid; exec sleep 100").start(&[], Bond::EndsWithUs).unwrap();
    dir.wait_for("pid", |text| text.ends_with('\n')).await;
    let start = Instant::now();
    run.end(GRACE).await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());

    let text = "(trap 'sleep 0.2; echo done > $0/done; exit' TERM; echo > $0/set; while :; do sleep 0.05; done) &
        echo $$ > $0/pid2; wait";
    let run = shell(&dir, text).start(&[], Bond::EndsWithUs).unwrap();
    dir.wait_for("set", |text| text.ends_with('\n')).await;
    run.end(GRACE).await;
    assert_eq!(dir.read("done"), "done\n", "a grandchild gets its grace though the leader is gone");
}

#[tokio::test]
async fn dropped_is_killed_and_reaped() {
    let dir = Dir::new();
    let run = shell(&dir, "echo $$ > $0/pid; exec sleep 100").start(&[], Bond::EndsWithUs).unwrap();
    let pid = dir.wait_for("pid", |text| text.ends_with('\n')).await;
    drop(run);
    for _ in 0..200 {
        if !std::path::Path::new(&format!("/proc/{}", pid.trim())).exists() {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("still there");
}

#[tokio::test]
async fn a_bound_run_ends_with_the_thread_that_started_it_another_does_not() {
    let dir = Dir::new();
    let [bound, free] = ["bound", "free"].map(|name| shell(&dir, &format!("echo $$ > $0/{name}; exec sleep 100")));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        // As when the daemon is killed: nobody tidies up.
        std::mem::forget(bound.start(&[], Bond::EndsWithUs).unwrap());
        std::mem::forget(free.start(&[], Bond::OutlivesUs).unwrap());
    })
    .join()
    .unwrap();
    let free = dir.wait_for("free", |text| text.ends_with('\n')).await;
    // It may have been ended before its first line.
    wait_until_gone(&dir.read("bound")).await;
    assert!(lives(&free));
    let free = Pid::from_raw(free.trim().parse().unwrap());
    killpg(free, Signal::SIGKILL).unwrap();
    waitpid(free, None).unwrap();
}
