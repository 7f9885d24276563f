//! One line of `virtual_rules` or `static_rules`, in the words of `ip rule`:
//! `[inet|inet6] [not] [from A] [to A] [OPTION ..] ACTION`.

use vrrp_common::Family;

use super::setup::{Action, Prefix, Rule};
use super::words::{Number, Words, names, options, prefix};
use super::written::{Naming, Set, Written};
use crate::syntax::diagnostic::{Class, Diagnostics};
use crate::syntax::lexer::Word;
use crate::syntax::schema::{At, FromItem, Keyword};
use crate::syntax::tree::Entry;
use crate::syntax::value::{Value, Whole};

options! {
    /// What a rule is made of, for suggestions and documentation.
    OPTIONS {
        "inet" | "inet6" "The family, also before an address of `from` or `to`; default that of the addresses, or IPv4.";
        "not" "All packets but those that the rest describes.";
        "from" "Source, with a length or without; or `all`.";
        "to" "Destination.";
        "table" | "lookup" "The table that is looked up, by name or number.";
        "preference" | "order" | "priority" "Place among the rules, the lowest first; given one where it is missing.";
        "tos" | "dsfield" "Type of service, by name or number.";
        "fwmark" "Mark of netfilter, perhaps with a mask.";
        "realms" "Realms that a packet is given: FROM/TO, or TO.";
        "suppress_prefixlength" | "sup_pl" "Routes of this length or shorter do not count.";
        "suppress_ifgroup" | "sup_group" "Routes through interfaces of this group do not count.";
        "iif" | "dev" "Interface that packets come from.";
        "oif" "Interface that a socket is bound to.";
        "tunnel-id" "Id of the tunnel that packets come from.";
        "uidrange" "Users whose packets these are: FROM-TO.";
        "l3mdev" "The table of the VRF of the interface is looked up.";
        "protocol" "Who set the rule, by name or number.";
        "ipproto" | "ip-proto" "Protocol of the packets, by name or number.";
        "sport" "Source ports: FROM-TO, or one.";
        "dport" "Destination ports.";
        "type" "Before an action; it may be left out.";
        "unicast" "The action of `table`, which may be left out.";
        "goto" "Goes on at the rule of this preference.";
        "nop" "Nothing is done.";
        "blackhole" "Packets are dropped without a word.";
        "prohibit" "They are refused as forbidden.";
        "unreachable" "They are refused as unreachable.";
        "no_track" "It is not put back when somebody removes it, and its interfaces are not watched.";
        "track_group" "Static rules: the `track_group` that cannot serve without it.";
    }
}

/// IPPROTO_TCP and the others that `ipproto` takes by name, in any case.
const PROTOCOLS: &[(&str, u8)] = &[
    ("icmp", 1),
    ("igmp", 2),
    ("tcp", 6),
    ("udp", 17),
    ("dccp", 33),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("ipv6-icmp", 58),
    ("ospf", 89),
    ("sctp", 132),
    ("udplite", 136),
];

/// A rule that has no `preference`, which [`resolve`](super::resolve) gives it one.
pub const UNSET: u32 = u32::MAX;

type Preference = Whole<0, { u32::MAX as i64 - 1 }>;
type Whole32 = Whole<0, { u32::MAX as i64 }>;

impl FromItem for Written<Rule> {
    fn from_item(entry: &Entry, found: &mut Diagnostics) -> Option<Self> {
        let words = Words::new("rule", entry.words());
        let mut reading =
            Reading { words, rule: Self::of(Rule::new(UNSET, Action::Nop)), action: None, families: Vec::new() };
        reading.options(found)?;
        reading.finish(found)
    }
}

struct Reading<'a> {
    words: Words<'a>,
    rule: Written<Rule>,
    action: Option<Action>,
    /// What the line says of the family.
    families: Vec<Family>,
}

impl Reading<'_> {
    /// `None`: the rule is skipped, reported.
    fn options(&mut self, found: &mut Diagnostics) -> Option<()> {
        while let Some(word) = self.words.pull() {
            let rule = &mut self.rule;
            match word.text.as_str() {
                "inet" => self.families.push(Family::V4),
                "inet6" => self.families.push(Family::V6),
                "not" => rule.value.inverted = true,
                "from" => self.rule.value.from = self.prefix(word, found)?,
                "to" => self.rule.value.to = self.prefix(word, found)?,
                "table" | "lookup" => {
                    let table = self.words.parameter(word, found)?;
                    rule.name(Naming::Table, table, |rule, _, number| rule.action = Action::Table(number));
                    self.action(word, Action::Table(0), found)?;
                }
                "preference" | "order" | "priority" => {
                    rule.value.preference = self.words.value::<Preference>(word, found)?.get() as u32;
                }
                "tos" | "dsfield" => {
                    let word = self.words.parameter(word, found)?;
                    rule.name(Naming::Tos, word, |rule, _, number| rule.tos = number as u8);
                }
                "fwmark" => {
                    let given = self.words.parameter(word, found)?;
                    let mark = mark(&given.text);
                    rule.value.mark = Some(self.words.read(word, given, mark, "MARK or MARK/MASK", found)?);
                }
                "realms" => {
                    let word = self.words.parameter(word, found)?;
                    let to = |rule: &mut Rule, _, number| rule.realms |= number & 0xffff;
                    rule.realms(word, 0, to, |rule, _, number| rule.realms |= number << 16);
                }
                "suppress_prefixlength" | "sup_pl" => {
                    let length = self.words.value::<Whole<0, 128>>(word, found)?;
                    rule.value.suppress_prefix_length = Some(length.get() as u32);
                }
                "suppress_ifgroup" | "sup_group" => {
                    let word = self.words.parameter(word, found)?;
                    rule.name(Naming::Group, word, |rule, _, number| rule.suppress_group = Some(number));
                }
                "iif" | "dev" => {
                    let name = self.words.interface(word, found)?;
                    rule.interfaces.push((name, Set { place: 0, put: |rule, _, id| rule.iif = Some(id) }));
                }
                "oif" => {
                    let name = self.words.interface(word, found)?;
                    rule.interfaces.push((name, Set { place: 0, put: |rule, _, id| rule.oif = Some(id) }));
                }
                "tunnel-id" => rule.value.tunnel = Some(self.words.value::<Number<{ u64::MAX }>>(word, found)?.0),
                "uidrange" => rule.value.uids = Some(self.words.range(word, found)?),
                "protocol" => {
                    let word = self.words.parameter(word, found)?;
                    rule.name(Naming::Protocol, word, |rule, _, number| rule.protocol = number as u8);
                }
                "ipproto" | "ip-proto" => {
                    let given = self.words.parameter(word, found)?;
                    let named = PROTOCOLS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&given.text));
                    let number = named.map(|(_, number)| *number).or_else(|| given.text.parse().ok());
                    let expected = "tcp, udp or another protocol's name, or 0 to 255";
                    rule.value.ip_protocol = Some(self.words.read(word, given, number, expected, found)?);
                }
                "sport" => rule.value.source_ports = Some(self.words.range(word, found)?),
                "dport" => rule.value.destination_ports = Some(self.words.range(word, found)?),
                // Before an action, and may be left out.
                "type" => {}
                "unicast" => {}
                "l3mdev" => self.action(word, Action::L3mdev, found)?,
                "goto" => {
                    let target = self.words.value::<Whole32>(word, found)?;
                    self.action(word, Action::Goto(target.get() as u32), found)?;
                }
                "nop" => self.action(word, Action::Nop, found)?,
                "blackhole" => self.action(word, Action::Blackhole, found)?,
                "unreachable" => self.action(word, Action::Unreachable, found)?,
                "prohibit" => self.action(word, Action::Prohibit, found)?,
                "no_track" => rule.value.kept = false,
                "track_group" => {
                    let group = self.words.parameter(word, found)?;
                    rule.group = Some(At { value: group.text.clone(), at: group.span });
                }
                _ => {
                    self.words.unknown(word, names(OPTIONS), found);
                    return None;
                }
            }
        }
        Some(())
    }

    /// The outer `None`: reported. The inner: `all`.
    fn prefix(&mut self, option: &Word, found: &mut Diagnostics) -> Option<Option<Prefix>> {
        for (word, family) in [("inet", Family::V4), ("inet6", Family::V6)] {
            if self.words.take(word) {
                self.families.push(family);
            }
        }
        let word = self.words.parameter(option, found)?;
        if matches!(word.text.as_str(), "all" | "any" | "default") {
            return Some(None);
        }
        let expected = "an address, perhaps with /LENGTH, or all";
        let prefix = self.words.read(option, word, prefix(&word.text), expected, found)?;
        self.families.push(Family::of(prefix.address));
        Some(Some(prefix))
    }

    fn action(&mut self, word: &Word, action: Action, found: &mut Diagnostics) -> Option<()> {
        if self.action.replace(action).is_none() {
            return Some(());
        }
        let message = format!("`{}` is a second action of the rule", word.text);
        self.words.wrong(Class::Conflict, word, message, found);
        None
    }

    /// Settles what depends on all of the line.
    fn finish(mut self, found: &mut Diagnostics) -> Option<Written<Rule>> {
        let Self { words, rule, action, families } = &mut self;
        let first = words.first;
        let Some(action) = *action else {
            words.wrong(Class::Incomplete, first, "the rule says nothing that is to be done".into(), found);
            return None;
        };
        families.dedup();
        if families.len() > 1 {
            words.wrong(Class::Conflict, first, "the rule mixes IPv4 and IPv6".into(), found);
            return None;
        }
        if let Action::Goto(target) = action
            && rule.value.preference != UNSET
            && rule.value.preference >= target
        {
            words.wrong(Class::Conflict, first, format!("`goto {target}` does not go forward"), found);
            return None;
        }
        rule.value.family = families.first().copied().unwrap_or(Family::V4);
        rule.value.action = action;
        Some(self.rule)
    }
}

/// `MARK[/MASK]`; without a mask all bits count.
fn mark(text: &str) -> Option<(u32, u32)> {
    let bits = |word| Number::<{ u32::MAX as u64 }>::parse(word).map(|number| number.0 as u32);
    let (mark, mask) = text.split_once('/').map_or((text, None), |(mark, mask)| (mark, Some(mask)));
    Some((bits(mark)?, mask.map_or(Some(u32::MAX), bits)?))
}
