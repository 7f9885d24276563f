//! The rules of VRRP that are shown here: the one list of their ids.
//!
//! FMT is the message, CK its checksum, IP what carries it, TM time, FSM the state machine (I Init, B Backup, A Active, P
//! preemption and preconditions, R our own restrictions), DP, GA and NA the data plane, RX the order of a receiver's tests,
//! AU authentication beyond a password, IV the two versions beside each other.

/// How strictly a rule is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Must,
    Should,
    May,
    /// Not of any RFC: ours, for safety or for compatibility.
    Ours,
}

/// One rule, and what shows it beside the cases that have its id.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub id: &'static str,
    pub level: Level,
    /// The rule in our words.
    pub title: &'static str,
    /// Why no case shows it; at most one reason.
    pub without: &'static [&'static str],
    /// What of it the cases do not show, and why.
    pub except: &'static [&'static str],
    /// Tests elsewhere that show it, or the rest of it: target, file and name.
    pub tests: &'static [&'static str],
}

/// Declares [`RULES`]: `"id" Level "title"`, then `without`, `except` and `tests` as needed.
macro_rules! rules {
    ($($id:literal $level:ident $title:literal
        $(without $without:literal)? $(except $except:literal)? $(tests $($test:literal),+)?;)+) => {
        pub const RULES: &[Rule] = &[$(Rule {
            id: $id,
            level: Level::$level,
            title: $title,
            without: &[$($without)?],
            except: &[$($except)?],
            tests: &[$($($test),+)?],
        },)+];
    };
}

rules! {
    "FMT-01" Must "The first octet is version (2 or 3) and type; type 1, ADVERTISEMENT, is the only one.";
    "FMT-02" Must "The VRID is 1 to 255, and counts for one interface and one address family.";
    "FMT-03" Must "Priority 255 is the owner's, 1 to 254 a backup's (100 unless configured), 0 says that a router leaves.";
    "FMT-04" Must "The address count is at least 1.";
    "FMT-05v2" Must "v2: authentication type, whole seconds, checksum, addresses, and always eight octets of authentication data.";
    "FMT-05v3" Must "v3: four reserved bits, twelve bits of centiseconds, checksum, addresses, and nothing behind them.";
    "FMT-06" Must "Version 2 is for IPv4 alone.";
    "FMT-07" Must "Over IPv6 the first address is the virtual router's link-local one, and all are of the packet's family.";
    "FMT-08" May "Addresses are sent in the order in which they are configured.";
    "FMT-09" Must "Fields are big-endian, and the interval is masked to its twelve bits both ways.";

    "CK-01" Must "v2: the checksum covers the message with its trailer, without a pseudo header.";
    "CK-02" Must "v3 over IPv6: the checksum covers the IPv6 pseudo header and the message.";
    "CK-03" Must "v3 over IPv4 by RFC 9568: the checksum covers the message alone.";
    "CK-04" Ours "v3 over IPv4 as RFC 5798 is deployed: the checksum covers the IPv4 pseudo header and the message.";
    "CK-05" Ours "Either form is accepted of v3 over IPv4, and which one it was is known."
        tests "xdp host::an_advert_is_delivered_with_what_the_daemon_needs", "e2e wire::the_peers_checksum_form_is_mirrored";
    "CK-06" Ours "Which form is sent is configured; without a word it is the peers', and keepalived's before any was heard.";
    "CK-07" Must "To a unicast peer the pseudo header has the peer's address, not the group's.";

    "IP-01" Must "TTL and hop limit are 255: sent so, and anything else is discarded.";
    "IP-02" Must "The IP protocol is 112.";
    "IP-03" Must "Adverts go to 224.0.0.18 or ff02::12 and their Ethernet addresses.";
    "IP-04" Must "Adverts come from the interface's primary or link-local address, not from a virtual one.";
    "IP-05" Must "The source MAC of an advert is the virtual one; a receiver may not insist on it."
        except "without use_vmac adverts leave from the card's own MAC, as keepalived's do"
        tests "e2e vmac::the_client_sees_the_virtual_mac", "e2e sync_groups::a_group_moves_as_one_behind_keepalived";
    "IP-06" Must "No interface identifier is made of the virtual MAC."
        without "the kernel is told to make no address of it (addr_gen_mode 1)"
        tests "e2e vmac::leftovers_are_taken_over_and_strangers_are_not";
    "IP-07" Should "Adverts are marked CS6.";
    "IP-08" Ours "IPv4 options are skipped; fragments and messages behind IPv6 extension headers are discarded.";

    "TM-01v2" Must "v2: the skew is (256 - priority) / 256 s, the down interval three of our own intervals and the skew.";
    "TM-01v3" Must "v3: the skew is (256 - priority) / 256 of the master's interval, the down interval three of them and the skew.";
    "TM-02" Ours "Skew and down interval are exact to the nanosecond, so that a centisecond keeps the order of election.";
    "TM-03" Must "v3: a backup counts by the interval of the master it follows, and by its own until it hears one.";
    "TM-04" Must "A master sends at its own interval, never at a learned one.";
    "TM-05" Must "v3: an advert with another interval than ours is heard and its interval taken over; v2: it is discarded.";
    "TM-06" Ours "A wait begins when the advert arrived, not when somebody read it."
        tests "xdp attach::an_advert_on_the_wire_is_delivered";
    "TM-07" Must "Time is monotonic."
        without "engine and rules have no clock: every instant is handed in, and a test forbids them one"
        tests "tidy modules_use_what_they_may", "xdp attach::an_advert_on_the_wire_is_delivered";

    "FSM-I1" Must "Init, startup, owner: advert, addresses announced, Master.";
    "FSM-I2" Must "Init, startup, any other: Backup for one down interval of its own.";
    "FSM-B1" Must "Backup, shutdown: Init, and nothing is sent.";
    "FSM-B2" Must "Backup, down interval over: advert, addresses announced, Master.";
    "FSM-B3" Must "Backup, priority 0: waits its skew by the interval it has, and learns none.";
    "FSM-B4" Must "Backup, equal or higher priority, or any without preemption: the wait begins anew, the interval is learned, addresses are not compared.";
    "FSM-B5" Must "Backup, lower priority, preempting: discarded, and the timer runs on.";
    "FSM-A1" Must "Master, shutdown: priority 0 is sent, the addresses go, Init.";
    "FSM-A2" Must "Master, advert due: sends one, and the next is due an interval later.";
    "FSM-A3" Must "Master, priority 0: sends an advert at once, and counts its interval from there.";
    "FSM-A4" Must "Master, higher priority, or equal from a higher address: the addresses go, Backup.";
    "FSM-A5" Must "Master, anything weaker: discarded and answered with an advert at once."
        except "version 2 answers, too, against RFC 3768 and with keepalived";
    "FSM-P1" Must "Preemption is a question for backups alone, and the owner always preempts.";
    "FSM-P2" Must "An interface that is down or has no address ends participation; a master says priority 0 first.";
    "FSM-P3" Must "An owner that hears another owner settles with it by address (erratum 8298).";
    "FSM-R1" Ours "Answers to weaker adverts are limited, or a flood would make a reflector of the master.";
    "FSM-R2" Ours "An advert from our own address that we did not send is counted, told and never elected.";

    "DP-01" Must "ARP for a virtual address is answered by the master alone, with the virtual MAC."
        without "the kernel answers ARP, and the address is set on the master alone; without use_vmac it answers with the card's own MAC, as with keepalived"
        tests "e2e vmac::the_client_sees_the_virtual_mac", "e2e failover::crash_return_and_stop_v3";
    "DP-02" Must "IPv6: neighbour solicitations and router advertisements are the master's, with the virtual MAC."
        without "the kernel answers neighbour solicitations, and the address is set on the master alone, with the virtual MAC by use_vmac. Router advertisements are another daemon's"
        tests "e2e accept::no_accept_answers_neighbour_solicitations_alone", "e2e ipv6::crash_return_and_stop";
    "DP-03" Must "Frames to the virtual MAC are forwarded by the master and dropped by backups."
        without "the interface of the virtual MAC is up in the master alone, and the kernel forwards what comes to one that is up"
        tests "e2e vmac::the_client_sees_the_virtual_mac";
    "DP-04" Must "A backup accepts no packets to the virtual addresses; a master as owner, or by accept mode."
        without "the kernel accepts what is for an address that is set, and it is set on the master alone; no_accept is a table of nftables"
        tests "e2e accept::no_accept_answers_arp_alone", "e2e accept::no_accept_answers_neighbour_solicitations_alone", "e2e failover::crash_return_and_stop_v3";
    "DP-05" Should "Packets to a virtual address are not forwarded; redirects come from the address that the host used."
        without "the kernel forwards nothing that is for an address of its own, and chooses the source of its redirects";
    "DP-06" Should "Unsolicited neighbour advertisements are accepted in either state."
        without "the kernel does, and nothing is changed about it";
    "DP-07" Must "Nothing is announced before the address is there.";

    "GA-01" Must "Gratuitous ARP: broadcast, one for each address, sender and target address the virtual one."
        except "without use_vmac the sender is the card's own MAC, as keepalived's"
        tests "e2e vmac::the_client_sees_the_virtual_mac", "e2e wire::tshark_is_content_with_v3";

    "NA-01" Must "Unsolicited neighbour advertisement: router and override set, not solicited, link-layer option, to ff02::1, hop limit 255."
        except "without use_vmac the link-layer address is the card's own MAC, as keepalived's"
        tests "e2e wire::tshark_is_content_with_ipv6";

    "RX-01" Must "First test: TTL or hop limit 255.";
    "RX-02" Must "The version is known, and the virtual router's.";
    "RX-03" Must "The type is 1.";
    "RX-04" Must "The message is as long as its count and version say, not shorter and not longer.";
    "RX-05" Must "The checksum is right.";
    "RX-06" Must "The VRID is configured on the interface and in the family by which it came.";
    "RX-07" Must "The address count is not 0 (erratum 8299).";
    "RX-08" Must "v3: the interval is not 0 (erratum 8301).";
    "RX-09" Must "IPv6: the first address is link-local (erratum 8300).";
    "RX-10" Must "v2: the authentication type is the configured one.";
    "RX-11" Must "v2: the interval is ours.";
    "RX-12" May "Other addresses than ours are logged; in v2 RFC 3768 drops what is not the owner's."
        except "version 2 drops none for it, against RFC 3768 and with keepalived";
    "RX-13" Must "An owner hears adverts like any master (erratum 8298); in v2 it discards them."
        except "version 2 does the same, against RFC 3768 and with keepalived: two owners would both stay";
    "RX-14" Should "v3: another interval than ours is logged.";
    "RX-15" Should "Priority 255 from several senders is logged.";

    "AU-01" Ours "v2 `auth_type AH`: the header proves who sends, and its number is above all that was sent or heard."
        tests "e2e authentication::a_header_is_not_heard_again";
    "AU-02" Ours "`auth_hmac`: the trailer proves who sends; in mode enforce there must be one."
        tests "e2e authentication::who_does_not_sign_or_signs_otherwise_is_not_heard";
    "AU-03" Ours "`auth_hmac`: what was said is not heard again, by its number and, unless that alone is to count, by its time."
        tests "e2e authentication::what_was_said_is_not_heard_again";
    "AU-04" Ours "`auth_hmac`: in the modes permissive and receive-only unsigned adverts are heard; in the last none is signed."
        tests "e2e authentication::hmac_is_introduced_step_by_step";

    "IV-01" May "A router can be set to send and accept both versions.";
    "IV-02" Must "With both, a master sends both at its rate; v2's field is at least 1 s.";
    "IV-03" Must "With both, a backup waits by what the master advertises, v2's seconds times 100.";
    "IV-04" Should "With both, v2 adverts of a sender that also sends v3 are ignored.";
    "IV-05" Should "No v2 router has a higher priority than a v3 one with less than a second.";
    "IV-06" Should "Both versions are for an upgrade, not for good."
        tests "sim scenarios::a_pair_is_upgraded";
}
