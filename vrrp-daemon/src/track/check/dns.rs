//! Whether a name server knows a name.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE};
use tokio::net::UdpSocket;

use super::{Query, Record};

/// What fits a UDP answer of old; others come with the mark that they were cut, and with it say enough.
const ANSWER_LENGTH: usize = 4096;

pub async fn ask(query: &Query) -> Result<String, String> {
    let Query { server, name, record } = query;
    // Nobody can guess it who does not see the question.
    let id = RandomState::new().hash_one(0) as u16;
    let question = question(id, name, *record).map_err(|error| format!("{name}: {error}"))?;
    let exchange = async {
        let any: SocketAddr =
            if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let socket = UdpSocket::bind(any).await?;
        // So only the server's answers are heard, and that there is none is told at once.
        socket.connect(server).await?;
        socket.send(&question).await?;
        let mut octets = [0; ANSWER_LENGTH];
        loop {
            let length = socket.recv(&mut octets).await?;
            if let Some(answer) = answer(&octets[..length], id) {
                return Ok(answer);
            }
        }
    };
    exchange.await.unwrap_or_else(|error: std::io::Error| Err(format!("{server}: {error}")))
}

fn question(id: u16, name: &str, record: Record) -> simple_dns::Result<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let record = match record {
        Record::A => TYPE::A,
        Record::Aaaa => TYPE::AAAA,
        Record::Cname => TYPE::CNAME,
        Record::Mx => TYPE::MX,
        Record::Ns => TYPE::NS,
        Record::Ptr => TYPE::PTR,
        Record::Soa => TYPE::SOA,
        Record::Srv => TYPE::SRV,
        Record::Txt => TYPE::TXT,
    };
    packet.questions.push(Question::new(Name::new(name)?, record.into(), CLASS::IN.into(), false));
    packet.build_bytes_vec()
}

/// `None`: not the answer to this question.
fn answer(octets: &[u8], id: u16) -> Option<Result<String, String>> {
    let packet = match Packet::parse(octets) {
        Ok(packet) => packet,
        Err(error) => return Some(Err(format!("an answer that is none: {error}"))),
    };
    if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    Some(match (packet.rcode(), packet.answers.len()) {
        (RCODE::NoError, 0) if !packet.has_flags(PacketFlag::TRUNCATION) => Err("the server has no such record".into()),
        (RCODE::NoError, records) => Ok(format!("{records} records")),
        (code, _) => Err(format!("the server answers {code:?}")),
    })
}
