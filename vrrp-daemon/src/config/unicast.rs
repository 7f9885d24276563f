//! One line of `unicast_peer`: `ADDRESS [min_ttl N] [max_ttl N]`.

use std::net::IpAddr;

use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::schema::FromItem;
use crate::syntax::suggest;
use crate::syntax::tree::Entry;
use crate::syntax::value::{Value, Whole};

/// A peer as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub address: IpAddr,
    /// The TTL or hop limit that its adverts must still have; any when neither is given.
    pub min_ttl: Option<u8>,
    pub max_ttl: Option<u8>,
}

impl FromItem for Peer {
    fn from_item(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        let first = entry.keyword();
        let Some(address) = IpAddr::parse(&first.text) else {
            let message = format!("`{}` is no peer; expected {}", first.text, IpAddr::expected());
            found.error(Class::Value, first.span, message).done("the peer is skipped");
            return None;
        };
        let mut peer = Self { address, min_ttl: None, max_ttl: None };
        let mut words = entry.parameters().iter();
        while let Some(option) = words.next() {
            let bound = match option.text.as_str() {
                "min_ttl" => &mut peer.min_ttl,
                "max_ttl" => &mut peer.max_ttl,
                unknown => {
                    let message = format!("unknown option `{unknown}` of peer {address}");
                    let done = "the rest of the line is skipped";
                    let diagnostic = found.error(Class::Value, option.span, message).done(done);
                    if let Some(near) = suggest::nearest(unknown, ["min_ttl", "max_ttl"]) {
                        diagnostic.hint(format!("did you mean `{near}`?"));
                    }
                    break;
                }
            };
            type Ttl = Whole<0, 255>;
            let word = words.next();
            *bound = word.and_then(|word| Ttl::parse(&word.text)).map(|ttl| ttl.get() as u8);
            if bound.is_none() {
                let given = word.map_or("nothing", |word| word.text.as_str());
                let message = format!("`{}` of peer {address} is {given}; expected {}", option.text, Ttl::expected());
                found.error(Class::Value, option.span, message).done("the option is skipped");
            }
        }
        Some(peer)
    }
}
