//! The rules by which frames are judged, as the daemon holds them: what they say of each instance, what it writes to the
//! kernel's maps, and what the raw sockets' path asks itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use vrrp_common::abi::{
    AUTH_NONE, Peer, PeerKey, RULE_ANY_FIRST_ADDRESS, RULE_BOTH_VERSIONS, RULE_HMAC, RULE_HMAC_ENFORCED,
    RULE_PEERS_ONLY, RouterKey, Rule, RuleKey,
};
use vrrp_common::classify::Rules;
use vrrp_common::wire::advert::AUTH_DATA;
use vrrp_common::wire::ip::vrrp_group;
use vrrp_common::{Address, IfIndex};

use crate::auth::Authentication;
use crate::config::setup::{Destination, Setup};
use crate::engine::plan::InstanceId;

/// Which frames that come in by an interface are for an instance; `None` while the address is not known that they come to.
pub fn key(setup: &Setup, id: InstanceId, source: Option<IpAddr>, index: IfIndex) -> Option<RuleKey> {
    let plan = &setup.plan.instances[id.index()];
    let destination = match setup.instances[id.index()].destination {
        Destination::Group(group) => group.into(),
        Destination::Peers(_) => source?.into(),
    };
    let router = RouterKey { ifindex: index.0, vlan: 0, family: plan.family as u8, vrid: plan.vrid.get() };
    let destination = if destination == vrrp_group(plan.family) { Address::NONE } else { destination };
    Some(RuleKey { router, destination })
}

/// What an instance's adverts must be like; `row` is that of its counters, `source` what it sends from.
pub fn rule(setup: &Setup, id: InstanceId, row: u32, source: Option<IpAddr>) -> Rule {
    let plan = &setup.plan.instances[id.index()];
    let instance = &setup.instances[id.index()];
    let mut flags = 0;
    let first = instance.addresses.iter().find(|address| address.advertised);
    if let Some(IpAddr::V6(first)) = first.map(|first| first.address)
        && !first.is_unicast_link_local()
    {
        flags |= RULE_ANY_FIRST_ADDRESS;
    }
    if let Destination::Peers(unicast) = &instance.destination
        && unicast.peers_only
    {
        flags |= RULE_PEERS_ONLY;
    }
    if instance.both_versions {
        flags |= RULE_BOTH_VERSIONS;
    }
    if let Authentication::Hmac(policy) = &instance.authentication {
        flags |= RULE_HMAC | if policy.hears_unsigned { 0 } else { RULE_HMAC_ENFORCED };
    }
    let (auth_type, auth_pass) = instance.authentication.of_message().unwrap_or((AUTH_NONE, [0; AUTH_DATA]));
    Rule {
        slot: id.0,
        row,
        source: source.map(Address::from).unwrap_or_default(),
        auth_pass,
        interval: plan.advert_int.get(),
        version: plan.version as u8,
        auth_type,
        flags,
    }
}

/// The unicast peers of all instances.
pub fn peers(setup: &Setup) -> impl Iterator<Item = (PeerKey, Peer)> {
    (0..).zip(&setup.instances).flat_map(|(slot, instance)| {
        let peers = match &instance.destination {
            Destination::Group(_) => &[][..],
            Destination::Peers(unicast) => &unicast.peers,
        };
        peers.iter().map(move |peer| {
            let key = PeerKey { slot, unused: 0, address: peer.address.into() };
            (key, Peer { min_ttl: peer.min_ttl, max_ttl: peer.max_ttl })
        })
    })
}

/// The rules of every virtual router here, and its peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleTable {
    rules: BTreeMap<RuleKey, Rule>,
    peers: BTreeMap<PeerKey, Peer>,
}

impl RuleTable {
    pub fn new(peers: impl IntoIterator<Item = (PeerKey, Peer)>) -> Self {
        Self { rules: BTreeMap::new(), peers: peers.into_iter().collect() }
    }

    /// Sets all peers anew; returns those that were there before.
    pub fn set_peers(&mut self, peers: impl IntoIterator<Item = (PeerKey, Peer)>) -> BTreeMap<PeerKey, Peer> {
        std::mem::replace(&mut self.peers, peers.into_iter().collect())
    }

    /// Sets the rule for a key; returns the one it replaces.
    pub fn insert(&mut self, key: RuleKey, rule: Rule) -> Option<Rule> {
        self.rules.insert(key, rule)
    }

    pub fn remove(&mut self, key: RuleKey) -> Option<Rule> {
        self.rules.remove(&key)
    }

    /// Keys and rules, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (RuleKey, &Rule)> {
        self.rules.iter().map(|(key, rule)| (*key, rule))
    }

    pub fn peers(&self) -> impl Iterator<Item = (PeerKey, &Peer)> {
        self.peers.iter().map(|(key, peer)| (*key, peer))
    }

    pub fn len(&self) -> usize {
        self.rules.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl Extend<(RuleKey, Rule)> for RuleTable {
    fn extend<I: IntoIterator<Item = (RuleKey, Rule)>>(&mut self, rules: I) {
        self.rules.extend(rules);
    }
}

impl FromIterator<(RuleKey, Rule)> for RuleTable {
    fn from_iter<I: IntoIterator<Item = (RuleKey, Rule)>>(rules: I) -> Self {
        Self { rules: rules.into_iter().collect(), peers: BTreeMap::new() }
    }
}

impl Rules for RuleTable {
    fn rule(&self, key: RuleKey) -> Option<&Rule> {
        self.rules.get(&key)
    }

    fn peer(&self, key: PeerKey) -> Option<&Peer> {
        self.peers.get(&key)
    }
}

#[cfg(test)]
mod tests {
    use vrrp_common::abi::{AUTH_HEADER, AUTH_PASS};
    use vrrp_common::{Family, Version, Vrid};

    use super::*;
    use crate::auth::key::{KeyRing, Password};
    use crate::auth::trailer::Policy;
    use crate::config::setup::{self, Instance, Unicast, VirtualAddress};
    use crate::engine::plan::{InstancePlan, InterfaceId};

    fn setup(family: Family, destination: Destination, first: &str) -> Setup {
        let mut setup = Setup::default();
        let plan = InstancePlan::new(InterfaceId(0), Vrid::new(51).unwrap(), Version::V3);
        std::sync::Arc::make_mut(&mut setup.plan.instances).push(InstancePlan { family, addresses: 1, ..plan });
        let address = VirtualAddress {
            address: first.parse().unwrap(),
            prefix: 64,
            interface: InterfaceId(0),
            broadcast: None,
            label: None,
            scope: 0,
            advertised: true,
        };
        setup.instances.push(Instance { destination, addresses: vec![address], ..Default::default() });
        setup
    }

    const ID: InstanceId = InstanceId(0);

    #[test]
    fn the_key_says_where_adverts_come_to() {
        let own: IpAddr = "2001:db8::1".parse().unwrap();
        let key = |destination: Destination, source| {
            let setup = setup(Family::V6, destination, "fe80::9");
            key(&setup, ID, source, IfIndex(7)).map(|key| (key.router.ifindex, key.router.family, key.destination))
        };
        let group = |group: &str| Destination::Group(group.parse().unwrap());
        assert_eq!(key(group("ff02::12"), None), Some((7, 6, Address::NONE)));
        let other = "ff02::99".parse().map(IpAddr::V6).unwrap();
        assert_eq!(key(group("ff02::99"), Some(own)), Some((7, 6, other.into())));
        let unicast = || Destination::Peers(Unicast::default());
        assert_eq!(key(unicast(), Some(own)), Some((7, 6, own.into())));
        assert_eq!(key(unicast(), None), None, "nobody knows yet what they would come to");
    }

    #[test]
    fn the_rule_says_what_the_configuration_allows() {
        let group = || Destination::Group("ff02::12".parse().unwrap());
        let flags = |destination, first| rule(&setup(Family::V6, destination, first), ID, 3, None).flags;
        assert_eq!(flags(group(), "fe80::9"), 0);
        assert_eq!(flags(group(), "2001:db8::9"), RULE_ANY_FIRST_ADDRESS);
        let unicast = |peers_only| Destination::Peers(Unicast { peers_only, ..Default::default() });
        assert_eq!(flags(unicast(true), "fe80::9"), RULE_PEERS_ONLY);
        assert_eq!(flags(unicast(false), "fe80::9"), 0);
        let mut both = setup(Family::V4, Destination::default(), "10.0.0.9");
        both.instances[0].both_versions = true;
        assert_eq!(rule(&both, ID, 3, None).flags, RULE_BOTH_VERSIONS);
    }

    #[test]
    fn the_rule_says_what_proves_an_advert() {
        let rule = |authentication: Authentication| {
            let mut setup = setup(Family::V4, Destination::default(), "10.0.0.9");
            setup.instances[0].authentication = authentication;
            let Rule { auth_type, auth_pass, flags, .. } = rule(&setup, ID, 3, None);
            (auth_type, auth_pass, flags)
        };
        let (password, none) = (Password(*b"password"), [0; 8]);
        assert_eq!(rule(Authentication::None), (AUTH_NONE, none, 0));
        assert_eq!(rule(Authentication::Password(password)), (AUTH_PASS, *b"password", 0));
        assert_eq!(rule(Authentication::Ah(password)), (AUTH_HEADER, none, 0), "the kernel needs no key");
        let hmac = |hears_unsigned| {
            let policy = Policy { keys: KeyRing::new(), sign_with: None, hears_unsigned, window: None };
            rule(Authentication::Hmac(Box::new(policy)))
        };
        assert_eq!(hmac(false), (AUTH_NONE, none, RULE_HMAC | RULE_HMAC_ENFORCED));
        assert_eq!(hmac(true), (AUTH_NONE, none, RULE_HMAC));
    }

    #[test]
    fn peers_go_by_their_instance() {
        let peer = |address: &str, min_ttl| setup::Peer { address: address.parse().unwrap(), min_ttl, max_ttl: 255 };
        let list = vec![peer("10.0.0.2", 0), peer("10.0.0.3", 254)];
        let unicast = Unicast { peers: list, ..Default::default() };
        let mut setup = setup(Family::V4, Destination::default(), "10.0.0.9");
        setup.instances.push(Instance { destination: Destination::Peers(unicast), ..Default::default() });
        let table = RuleTable::new(peers(&setup));
        let ttl = |slot, address: [u8; 4]| {
            table
                .peer(PeerKey { slot, unused: 0, address: Address::v4(address) })
                .map(|peer| (peer.min_ttl, peer.max_ttl))
        };
        assert_eq!([ttl(1, [10, 0, 0, 2]), ttl(1, [10, 0, 0, 3])], [Some((0, 255)), Some((254, 255))]);
        assert_eq!([ttl(0, [10, 0, 0, 2]), ttl(1, [10, 0, 0, 4])], [None, None]);
    }
}
