//! `vrrpd_check` of web servers, in the clear and behind TLS: status, text, silence, name and authority.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};
use vrrp_tests::conf::{Conf, VIP};
use vrrp_tests::daemon::Program::Vrrpd;
use vrrp_tests::lab::{A, B, Lab, with_lab};

use crate::trackers::{CLIENT, wait_tracker};
use vrrp_tests::scenario::PATIENCE;

const WELL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall is ok";
const ILL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot at al";
const OUT_OF_ORDER: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
/// Nothing comes for as long as anybody waits.
const SILENCE: &str = "";

/// What a server says; it can be changed.
type Answer = Arc<Mutex<&'static str>>;

/// A web server on the client, which ends with the test's process. With a certificate it speaks TLS.
fn serve(lab: &Lab, port: u16, answer: Answer, tls: Option<Arc<ServerConfig>>) -> Result<()> {
    let listener = lab.client.within(|| Ok(TcpListener::bind(format!("{CLIENT}:{port}"))?))?;
    std::thread::spawn(move || {
        // A visitor who goes away, or finds fault with the certificate, is no concern of ours.
        for stream in listener.incoming().flatten() {
            let answer = *answer.lock().expect("nobody panics with it");
            let tls = tls.clone().map(ServerConnection::new);
            std::thread::spawn(move || match tls {
                Some(Ok(tls)) => converse(StreamOwned::new(tls, stream), answer),
                _ => converse(stream, answer),
            });
        }
    });
    Ok(())
}

fn converse(mut stream: impl Read + Write, answer: &str) {
    let mut request = [0; 4096];
    let Ok(1..) = stream.read(&mut request) else { return };
    if answer == SILENCE {
        std::thread::sleep(Duration::from_secs(5));
    }
    let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
}

#[test]
fn a_page_moves_mastership_and_says_why() {
    with_lab(|lab| {
        let answer = Answer::new(Mutex::new(WELL));
        serve(lab, 8080, Arc::clone(&answer), None)?;
        let says = |text| *answer.lock().expect("nobody panics with it") = text;
        let mut a = Conf::v3(150).line("track_check {\n        web\n    }");
        a.before = format!(
            "vrrpd_check web {{\n    http http://{CLIENT}:8080/health\n    status 200-204\n    body \"is ok\"\n    interval \
             0.2\n    timeout 0.5\n    fall 2\n    weight -50\n}}\n"
        );
        let mut a_runs = lab.start_conf(A, Vrrpd, &a)?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        a_runs.wait_log("VRRP_Check(web) succeeded (status 200)", PATIENCE)?;
        let _b_runs = lab.start_conf(B, Vrrpd, &Conf::v3(120))?;
        for (text, why) in [
            (OUT_OF_ORDER, "failed (status 503)"),
            (ILL, "failed (the body does not contain \"is ok\")"),
            (SILENCE, "failed (no answer within 500ms)"),
        ] {
            says(text);
            wait_tracker(&a_runs, "web", |web| web["last"] == why)?;
            lab.watch.wait_holder(B, VIP, PATIENCE)?;
        }
        a_runs.wait_log("Changing effective priority from 150 to 100", PATIENCE)?;
        says(WELL);
        lab.watch.wait_holder(A, VIP, PATIENCE)
    });
}

/// Who vouches, and a server's certificate for `name` that it signed; or that nobody did.
fn certificate(issuer: Option<&Issuer<'_, KeyPair>>, name: &str) -> Result<Arc<ServerConfig>> {
    let key = KeyPair::generate()?;
    let params = CertificateParams::new(vec![name.to_owned()])?;
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer)?,
        None => params.self_signed(&key)?,
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    let chain: Vec<CertificateDer> = vec![certificate.der().clone()];
    let builder = ServerConfig::builder_with_provider(ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
    Ok(Arc::new(builder.with_single_cert(chain, key)?))
}

/// The host vouches for one authority. Its server passes; one with another's name and one that nobody vouches for do not,
/// unless the configuration says that any will do.
#[test]
fn a_server_must_be_who_it_says() {
    with_lab(|lab| {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the laboratory");
        let key = KeyPair::generate()?;
        let authorities = lab.directory.join("authorities.pem");
        fs::write(&authorities, params.self_signed(&key)?.pem())?;
        let issuer = Issuer::new(params, key);
        let well = || Answer::new(Mutex::new(WELL));
        serve(lab, 8443, well(), Some(certificate(Some(&issuer), CLIENT)?))?;
        serve(lab, 8444, well(), Some(certificate(Some(&issuer), "another.example")?))?;
        serve(lab, 8445, well(), Some(certificate(None, CLIENT)?))?;
        serve(lab, 8446, well(), None)?;
        let checks = [
            ("known", 8443, ""),
            ("misnamed", 8444, ""),
            ("stranger", 8445, ""),
            ("any", 8445, "unverified"),
            ("plain", 8446, ""),
        ];
        let mut conf = Conf::v3(150);
        let mut tracked = String::new();
        for (name, port, more) in checks {
            conf.before += &format!(
                "vrrpd_check {name} {{\n    http https://{CLIENT}:{port}/\n    interval 0.5\n    {more}\n}}\n"
            );
            tracked += &format!("        {name} weight 1\n");
        }
        let conf = conf.line(format!("track_check {{\n{tracked}    }}"));
        let daemon = lab.start_by(A, Vrrpd, &conf.text(), |words| {
            let environment = format!("SSL_CERT_FILE={}", authorities.display());
            ["/usr/bin/env".to_owned(), environment].into_iter().chain(words).collect()
        })?;
        lab.watch.wait_holder(A, VIP, PATIENCE)?;
        for (name, last) in [
            ("known", "succeeded (status 200)"),
            ("any", "succeeded (status 200)"),
            ("misnamed", "failed (TLS: invalid peer certificate: certificate not valid for name"),
            ("stranger", "failed (TLS: invalid peer certificate: UnknownIssuer"),
            ("plain", "failed (TLS: "),
        ] {
            wait_tracker(&daemon, name, |check| check["last"].as_str().is_some_and(|said| said.starts_with(last)))?;
        }
        let log = daemon.log();
        ensure!(log.contains("VRRP_Check(known) succeeded (status 200)"), "{log}");
        Ok(())
    });
}
