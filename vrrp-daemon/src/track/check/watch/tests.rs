//! Questions to servers of our own, with right and wrong answers.

use std::net::SocketAddr;
use std::sync::Arc;

use simple_dns::rdata::{A, RData};
use simple_dns::{CLASS, Packet, PacketFlag, RCODE, ResourceRecord};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::super::{Host, Page, Query, Record, Target, Url};
use super::*;
use crate::syntax::value::Value;
use crate::testing::skip;

/// A web server that gives every visitor this answer; and the address that it is asked at.
async fn web(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).to_lowercase();
            assert!(request.starts_with("get /health?x=1 http/1.1\r\n"), "{request}");
            assert!(request.contains(&format!("host: {address}\r\n")), "{request}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

async fn page(
    answer: &'static str,
    statuses: &[std::ops::RangeInclusive<u16>],
    body: Option<&str>,
) -> Result<String, String> {
    let url = Url::parse(&format!("http://{}/health?x=1", web(answer).await)).unwrap();
    let page = Page { url, statuses: statuses.to_vec(), body: body.map(String::from), verified: true };
    Question::Http(Box::new(page)).ask().await
}

#[tokio::test]
async fn a_page_has_the_right_status_and_text() {
    let well = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nall is ok\n";
    let ill = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let ok = [200..=299];
    assert_eq!(page(well, &ok, None).await, Ok("status 200".into()));
    assert_eq!(page(well, &ok, Some("is ok")).await, Ok("status 200".into()));
    assert_eq!(page(well, &ok, Some("is well")).await, Err("the body does not contain \"is well\"".into()));
    assert_eq!(page(ill, &ok, None).await, Err("status 503".into()));
    assert_eq!(page(ill, &[200..=299, 503..=503], None).await, Ok("status 503".into()));
    assert!(page("SSH-2.0-OpenSSH_9.2\r\n", &ok, None).await.is_err());
    let endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab\n\r\n0\r\n\r\n";
    assert_eq!(page(endless, &ok, Some("ab")).await, Ok("status 200".into()));
}

async fn secret_page(address: SocketAddr, verified: bool) -> Result<String, String> {
    let url = Url::parse(&format!("https://{address}/")).unwrap();
    Question::Http(Box::new(Page { url, statuses: vec![200..=299], body: None, verified })).ask().await
}

/// A server of HTTPS whose certificate nobody vouches for.
async fn secret_web() -> SocketAddr {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let builder = ServerConfig::builder_with_provider(ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![made.cert.der().clone()], key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // Who does not trust us says so and goes.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_certificate_is_vouched_for_or_any_will_do() {
    let address = secret_web().await;
    assert_eq!(secret_page(address, true).await.unwrap_err(), "TLS: invalid peer certificate: UnknownIssuer");
    assert_eq!(secret_page(address, false).await, Ok("status 204".into()));
}

#[tokio::test]
async fn what_is_no_tls_is_no_https() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    });
    assert!(secret_page(address, false).await.unwrap_err().starts_with("TLS: "));
}

#[tokio::test]
async fn a_port_takes_connections_or_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let question = Question::Tcp(Target::parse(&listener.local_addr().unwrap().to_string()).unwrap());
    assert_eq!(question.ask().await, Ok("connected".into()));
    drop(listener);
    assert!(question.ask().await.unwrap_err().contains("Connection refused"));
    let named = Question::Tcp(Target::parse("name.invalid:80").unwrap());
    assert!(named.ask().await.unwrap_err().starts_with("name.invalid: "));
}

/// A name server that answers one question, after a stranger's answer to another.
async fn name_server(code: RCODE, records: usize) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut octets = [0; 512];
        let (length, asker) = socket.recv_from(&mut octets).await.unwrap();
        let question = Packet::parse(&octets[..length]).unwrap();
        let mut answer = Packet::new_reply(question.id().wrapping_add(1));
        answer.set_flags(PacketFlag::RESPONSE);
        answer.questions = question.questions.clone();
        socket.send_to(&answer.build_bytes_vec().unwrap(), asker).await.unwrap();
        answer.set_id(question.id());
        *answer.rcode_mut() = code;
        let name = question.questions[0].qname.clone();
        let record = || ResourceRecord::new(name.clone(), CLASS::IN, 10, RData::A(A { address: 1 }));
        answer.answers = (0..records).map(|_| record()).collect();
        socket.send_to(&answer.build_bytes_vec().unwrap(), asker).await.unwrap();
    });
    address
}

#[tokio::test]
async fn a_name_is_known_or_not() {
    for (code, records, expected) in [
        (RCODE::NoError, 2, Ok("2 records".to_owned())),
        (RCODE::NoError, 0, Err("the server has no such record".to_owned())),
        (RCODE::ServerFailure, 0, Err("the server answers ServerFailure".to_owned())),
    ] {
        let server = name_server(code, records).await;
        let query = Query { server, name: "db.example.net".into(), record: Record::A };
        assert_eq!(Question::Dns(query).ask().await, expected);
    }
    let nobody = Query { server: "127.0.0.1:1".parse().unwrap(), name: "a.example".into(), record: Record::A };
    assert!(Question::Dns(nobody).ask().await.unwrap_err().contains("Connection refused"));
}

#[tokio::test]
async fn a_host_answers_echo_requests() {
    if !nix::unistd::geteuid().is_root() {
        return skip("a_host_answers_echo_requests", "needs root");
    }
    for host in ["127.0.0.1", "::1", "localhost"] {
        assert_eq!(Question::Icmp(Host(host.into())).ask().await, Ok("answered".into()), "{host}");
    }
}
