//! Letters to the letter, and servers that take them, refuse them, say nothing, or are not there.

use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use vrrp_common::Priority;

use super::*;
use crate::config::setup::{Group, Instance};
use crate::engine::plan::{GroupId, InstanceId};

fn mail(port: u16) -> Mail {
    Mail {
        server: "127.0.0.1".into(),
        port,
        router: "LVS_A".into(),
        from: "vrrp@example.org".into(),
        to: vec!["a@example.org".into(), "b@example.org".into()],
        hello: "alpha.example.org".into(),
        timeout: Duration::from_secs(20),
        faults: true,
    }
}

/// With mail, of an instance and a group that ask for it or do not.
fn setup(mail: Option<Mail>, asks: bool) -> Arc<Setup> {
    let mut setup = Setup::default();
    setup.telling.mail = mail.map(Box::new);
    setup.instances.push(Instance { name: "VI_1".into(), smtp_alert: asks, ..Default::default() });
    setup.groups.push(Group { name: "G1".into(), smtp_alert: asks, notify: None });
    Arc::new(setup)
}

fn of_instance(setup: &Arc<Setup>, moment: Moment) -> Option<Letter> {
    let who = Who::Instance(InstanceId(0), Priority::DEFAULT);
    Letter::of(&Notice { setup: Arc::clone(setup), who, moment })
}

fn of_group(setup: &Arc<Setup>, moment: Moment) -> Option<Letter> {
    Letter::of(&Notice { setup: Arc::clone(setup), who: Who::Group(GroupId(0)), moment })
}

const MOMENTS: [Moment; 8] = [
    Moment::Master,
    Moment::Backup,
    Moment::Fault,
    Moment::Stop,
    Moment::Deleted,
    Moment::RxLower,
    Moment::MasterPriority,
    Moment::BackupPriority,
];

#[test]
fn words_are_keepaliveds() {
    let setup = setup(Some(mail(25)), true);
    let words = |letter: Option<Letter>| letter.map(|letter| (letter.subject, letter.text));
    let owns_not = "=> VRRP Instance is no longer owning VRRP VIPs <=";
    let written: Vec<_> = MOMENTS.iter().filter_map(|&moment| words(of_instance(&setup, moment))).collect();
    let expected = [
        ("VRRP Instance VI_1 - Entering MASTER state", "=> VRRP Instance is now owning VRRP VIPs <="),
        ("VRRP Instance VI_1 - Entering BACKUP state", owns_not),
        ("VRRP Instance VI_1 - Entering FAULT state", owns_not),
        ("VRRP Instance VI_1 - Deleted", "=> VRRP Deleted at reload <="),
    ];
    assert_eq!(written, expected.map(|(subject, text)| (subject.to_owned(), text.to_owned())));
    for state in [Moment::Master, Moment::Backup, Moment::Fault] {
        let label = state.label();
        let expected = (
            format!("VRRP Group G1 - Entering {label} state"),
            format!("=> All VRRP group instances are now in {label} state <="),
        );
        assert_eq!(words(of_group(&setup, state)), Some(expected));
    }
    assert!(of_group(&setup, Moment::Stop).is_none());
}

#[test]
fn the_message_to_the_octet() {
    let mut letter = of_instance(&setup(Some(mail(25)), true), Moment::Master).unwrap();
    letter.at = OffsetDateTime::from_unix_timestamp(1_795_553_459).unwrap();
    assert_eq!(
        letter.message(&mail(25)).unwrap(),
        "Date: Tue, 24 Nov 2026 20:50:59 +0000\r\nFrom: vrrp@example.org\r\n\
         Subject: [LVS_A] VRRP Instance VI_1 - Entering MASTER state\r\nX-Mailer: Keepalived\r\n\
         To: a@example.org, b@example.org\r\n\r\n=> VRRP Instance is now owning VRRP VIPs <=\r\n"
    );
}

#[test]
fn nobody_is_written_to_unasked() {
    for setup in [setup(None, true), setup(Some(mail(25)), false)] {
        assert!(MOMENTS.iter().all(|&moment| of_instance(&setup, moment).is_none()));
        assert!(MOMENTS.iter().all(|&moment| of_group(&setup, moment).is_none()));
    }
    let quiet = setup(Some(Mail { faults: false, ..mail(25) }), true);
    assert!(of_instance(&quiet, Moment::Fault).is_none() && of_group(&quiet, Moment::Fault).is_none());
    assert!(of_instance(&quiet, Moment::Backup).is_some());
}

/// A server that refuses one recipient, by that letter's subject; gives back what each connection said.
async fn serve(listener: TcpListener, letters: usize, refuses_letter: usize) -> Vec<Vec<String>> {
    let mut said = Vec::new();
    for number in 0..letters {
        let (stream, _) = listener.accept().await.unwrap();
        said.push(talk(stream, number == refuses_letter).await);
    }
    said
}

async fn talk(stream: TcpStream, refuses: bool) -> Vec<String> {
    let (reading, mut writing) = stream.into_split();
    let (mut lines, mut said, mut in_letter) = (BufReader::new(reading).lines(), Vec::new(), false);
    writing.write_all(b"220 mx\r\n").await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = match line.get(..4) {
            _ if in_letter && line != "." => None,
            Some("DATA") => Some("354 go on\r\n"),
            Some("RCPT") if refuses && line.contains("b@") => Some("550 unknown\r\n"),
            _ => Some("250 ok\r\n"),
        };
        in_letter = answer.is_none() || line == "DATA";
        said.push(line);
        if let Some(answer) = answer {
            writing.write_all(answer.as_bytes()).await.unwrap();
        }
    }
    said
}

/// Has these written by a server at this port, and says how many were lost.
async fn write(mail: Mail, moments: &[Moment]) -> u64 {
    let setup = setup(Some(mail), true);
    let (queue, letters) = mpsc::channel(moments.len());
    for &moment in moments {
        queue.try_send(of_instance(&setup, moment).unwrap()).unwrap();
    }
    drop(queue);
    let lost = Arc::default();
    run(letters, Arc::clone(&lost)).await;
    lost.load(Ordering::Relaxed)
}

#[tokio::test]
async fn letters_go_out_in_order_and_one_that_is_refused_holds_up_no_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(serve(listener, 3, 1));
    assert_eq!(write(mail(port), &[Moment::Backup, Moment::Master, Moment::Fault]).await, 1);
    let said = server.await.unwrap();
    let subjects =
        |said: &[String]| said.iter().filter(|line| line.starts_with("Subject")).cloned().collect::<Vec<_>>();
    assert_eq!(subjects(&said[0]), ["Subject: [LVS_A] VRRP Instance VI_1 - Entering BACKUP state"]);
    assert_eq!(subjects(&said[1]), [""; 0]);
    assert_eq!(subjects(&said[2]), ["Subject: [LVS_A] VRRP Instance VI_1 - Entering FAULT state"]);
    let envelope = ["EHLO alpha.example.org", "MAIL FROM:<vrrp@example.org>", "RCPT TO:<a@example.org>"];
    assert_eq!(said[0][..3], envelope);
    assert_eq!(said[0].last().unwrap(), "QUIT");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_with_all_that_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let start = Instant::now();
    let silent = Mail { timeout: Duration::from_secs(1), ..mail(port) };
    assert_eq!(write(silent, &[Moment::Backup, Moment::Master, Moment::Fault]).await, 3);
    assert!(start.elapsed() >= Duration::from_secs(1));
    // One was tried: the others would have found it so.
    assert!(listener.accept().await.is_ok());
    assert!(timeout(Duration::from_millis(100), listener.accept()).await.is_err());
}

#[tokio::test]
async fn a_server_that_is_not_there_and_an_address_that_is_none() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    assert_eq!(write(mail(port), &[Moment::Backup, Moment::Master]).await, 2);
    assert_eq!(write(Mail { from: "a..b@".into(), ..mail(port) }, &[Moment::Backup]).await, 1);
}
