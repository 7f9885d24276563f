//! The socket in its directory, and conversations with well and ill behaved clients.

use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::testing::Dir;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn directory_and_socket_have_their_modes_and_go() {
    let dir = Dir::new();
    let run_dir = dir.join("run");
    let socket = Socket::bind(&run_dir).unwrap();
    assert_eq!(mode(&run_dir), 0o755);
    assert_eq!(mode(socket.path()), 0o600);
    let path = socket.path().to_owned();
    drop(socket);
    assert!(!path.exists());
}

#[test]
fn a_live_one_is_left_and_a_stale_one_replaced() {
    let dir = Dir::new();
    let first = Socket::bind(dir.path()).unwrap();
    let error = Socket::bind(dir.path()).unwrap_err();
    assert!(matches!(error, ControlError::Busy { .. }));
    assert_eq!(
        error.to_string(),
        format!("another vrrpd answers at {} - stop it, or give this one another --run-dir", first.path().display())
    );
    // As a crash leaves it: the file is there, nobody listens.
    let Socket { listener, .. } = &first;
    nix::sys::socket::shutdown(listener.as_raw_fd(), nix::sys::socket::Shutdown::Both).unwrap();
    let second = Socket::bind(dir.path()).unwrap();
    drop(first);
    assert!(second.path().exists(), "only its own is removed");
}

#[test]
fn links_and_strangers_are_refused() {
    let dir = Dir::new();
    let real = dir.join("real");
    fs::create_dir(&real).unwrap();
    symlink(&real, dir.join("run")).unwrap();
    let refused = |path: &Path| match Socket::bind(path).unwrap_err() {
        ControlError::Unsafe { what, .. } => what,
        error => panic!("{error}"),
    };
    assert_eq!(refused(&dir.join("run")), "is not a directory");

    fs::write(dir.join("precious"), "x").unwrap();
    symlink(dir.join("precious"), real.join(NAME)).unwrap();
    assert_eq!(refused(&real), "is not a socket and is left alone");
    fs::remove_file(real.join(NAME)).unwrap();
    fs::write(real.join(NAME), "x").unwrap();
    assert_eq!(refused(&real), "is not a socket and is left alone");

    let open = dir.join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(refused(&open), "can be written by others");
}

/// A daemon that answers every status with an empty set-up.
fn daemon(dir: &Dir, test: impl FnOnce(PathBuf) + Send + 'static) {
    let socket = Socket::bind(dir.path()).unwrap();
    let process = Process {
        version: "0.1.0",
        started_at: SystemTime::now(),
        config: "/etc/keepalived/keepalived.conf".into(),
        log: None,
        losses: Default::default(),
        reload_due: Default::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (requests, mut asked) = mpsc::channel::<Request>(REQUESTS);
    let path = socket.path().to_owned();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let client = tokio::task::spawn_blocking(move || test(path));
        let answering = async {
            while let Some(request) = asked.recv().await {
                match request {
                    Request::Status { reply } => {
                        let now = vrrp_common::Instant::from_nanos(0);
                        let _ = reply.send(Observed {
                            setup: Default::default(),
                            now,
                            lateness: Default::default(),
                            interfaces: vec![],
                            instances: vec![],
                            groups: vec![],
                        });
                    }
                    Request::Reload { reply } => drop(reply.send(Err("line 1: no".into()))),
                    Request::Stop { reply } => drop(reply.send(Ok(()))),
                    Request::Announce { name } => panic!("nobody can ask here to announce {name}"),
                }
            }
        };
        tokio::select! {
            () = serve(&socket, Rc::new(process), Board::default(), requests) => panic!("serves until dropped"),
            () = answering => panic!("answers until dropped"),
            ended = client => ended.unwrap(),
        }
    });
}

fn ask(path: &Path, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    // A server that has refused may have closed already.
    let _ = stream.write_all(request);
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_line_asks_and_a_line_answers() {
    daemon(&Dir::new(), |path| {
        let text = ask(&path, b"{\"do\":\"status\"}\n");
        let Ok(Answer::Status(status)) = serde_json::from_str(&text) else { panic!("{text}") };
        assert_eq!(status.daemon.pid, std::process::id());
        assert!(text.ends_with("}\n"));
        assert_eq!(ask(&path, b"{\"do\":\"stop\"}\n"), "{\"done\":null}\n");
        assert_eq!(ask(&path, b"{\"do\":\"reload\"}\n"), "{\"error\":\"line 1: no\"}\n");
        assert!(ask(&path, b"{\"do\":\"dance\"}\n").starts_with("{\"error\":\"not a request: "));
        assert!(ask(&path, b"\xff\xff\n").starts_with("{\"error\":\"not a request: "));
    });
}

#[test]
fn long_and_slow_requests_end() {
    daemon(&Dir::new(), |path| {
        let text = ask(&path, &[b'x'; 4096]);
        assert_eq!(text, "{\"error\":\"the request is longer than 4096 octets\"}\n");
        // Silent clients take every place for two seconds; the next one is served after that.
        let silent: Vec<_> = (0..CONNECTIONS).map(|_| UnixStream::connect(&path).unwrap()).collect();
        let start = std::time::Instant::now();
        assert!(ask(&path, b"{\"do\":\"status\"}\n").starts_with("{\"status\":"));
        assert!((1900..4000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        for mut stream in silent {
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert_eq!(text, "{\"error\":\"no request within 2 s\"}\n");
        }
    });
}
