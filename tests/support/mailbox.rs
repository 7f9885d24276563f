//! A mail server that keeps what it is sent, refuses it, or says nothing.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::netns::Namespace;

/// How it treats who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Takes,
    /// No recipient is known.
    Refuses,
    /// Connections are taken, and nothing is ever said.
    Hangs,
}

/// One letter, with its envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Letter {
    /// The name behind HELO or EHLO.
    pub hello: String,
    pub from: String,
    pub to: Vec<String>,
    /// All lines but that of the date.
    pub lines: Vec<String>,
    pub dates: usize,
}

impl Letter {
    pub fn subject(&self) -> &str {
        self.lines.iter().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default()
    }
}

pub struct Mailbox {
    letters: Arc<Mutex<Vec<Letter>>>,
    closed: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

/// Between two looks for who connects, and for letters.
const LOOK: Duration = Duration::from_millis(5);

impl Mailbox {
    /// On all addresses of the namespace.
    pub fn open(place: &Namespace, port: u16, manner: Manner) -> Result<Self> {
        let listener = place.within(|| Ok(TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?))?;
        listener.set_nonblocking(true)?;
        let mut mailbox = Self { letters: Arc::default(), closed: Arc::default(), listening: None };
        let (letters, closed) = (Arc::clone(&mailbox.letters), Arc::clone(&mailbox.closed));
        mailbox.listening = Some(std::thread::spawn(move || {
            let mut hanging = Vec::new();
            while !closed.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) if manner == Manner::Hangs => hanging.push(stream),
                    Ok((stream, _)) => {
                        let letters = Arc::clone(&letters);
                        // One that says no more has gone; what it said before is kept.
                        std::thread::spawn(move || talk(stream, manner, &letters));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(LOOK),
                    Err(_) => return,
                }
            }
        }));
        Ok(mailbox)
    }

    /// In the order in which they came to their end.
    pub fn letters(&self) -> Vec<Letter> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until there are so many.
    pub fn wait(&self, count: usize, patience: Duration) -> Result<Vec<Letter>> {
        let start = Instant::now();
        loop {
            let letters = self.letters();
            if letters.len() >= count {
                return Ok(letters);
            }
            let subjects: Vec<_> = letters.iter().map(Letter::subject).collect();
            ensure!(start.elapsed() < patience, "waited in vain for {count} letters: {subjects:#?}");
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        // Then the port is free.
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

fn talk(stream: TcpStream, manner: Manner, letters: &Mutex<Vec<Letter>>) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut answers = stream.try_clone()?;
    let mut answer = |text: &str| answers.write_all(format!("{text}\r\n").as_bytes());
    answer("220 mailbox")?;
    let (mut letter, mut in_letter) = (Letter::default(), false);
    for line in BufReader::new(stream).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        // What ends otherwise than by CR and LF shows in the comparison.
        let line = line.strip_suffix('\r').map_or_else(|| format!("{line}<LF alone>"), str::to_owned);
        let of = |word: &str| line.strip_prefix(word).map(|rest| rest.trim().to_owned());
        if in_letter {
            match line.strip_prefix("Date: ") {
                _ if line == "." => {
                    letters.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut letter));
                    in_letter = false;
                    answer("250 taken")?;
                }
                Some(_) => letter.dates += 1,
                None => letter.lines.push(line),
            }
            continue;
        }
        if line == "DATA" {
            in_letter = true;
            answer("354 write")?;
            continue;
        }
        if let Some(to) = of("RCPT TO:") {
            letter.to.push(to);
            answer(if manner == Manner::Refuses { "550 not known here" } else { "250 ok" })?;
            continue;
        }
        if let Some(hello) = of("HELO ").or_else(|| of("EHLO ")) {
            letter.hello = hello;
        }
        if let Some(from) = of("MAIL FROM:") {
            letter.from = from;
        }
        answer("250 ok")?;
    }
    Ok(())
}
