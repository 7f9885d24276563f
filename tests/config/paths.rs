//! Routes and rules as text: all that is not as always.

use std::fmt::Write;

use vrrp_daemon::config::setup::{Encap, Hop, Paths, Route, Rule};

pub fn paths(paths: &Paths, interfaces: &[String], out: &mut String) -> std::fmt::Result {
    for one in &paths.routes {
        writeln!(out, "  {}", route(one, interfaces))?;
    }
    for one in &paths.rules {
        writeln!(out, "  {}", rule(one, interfaces))?;
    }
    Ok(())
}

/// An option with its value, when it is not as always.
fn option<T: PartialEq>(out: &mut String, name: &str, value: &T, always: &T, shown: impl Fn(&T) -> String) {
    if value != always {
        let shown = shown(value);
        let _ = write!(out, " {name}{}{shown}", if shown.is_empty() { "" } else { " " });
    }
}

fn route(route: &Route, interfaces: &[String]) -> String {
    let always = Route::default();
    let Route {
        placement,
        kind,
        destination,
        from,
        source,
        tos,
        table,
        protocol,
        scope,
        metric,
        metrics,
        expires,
        preference,
        ttl_propagate,
        hops,
        kept,
    } = route;
    let mut out = format!("route {destination}");
    option(&mut out, "placement", placement, &always.placement, |it| format!("{it:?}"));
    option(&mut out, "kind", kind, &always.kind, u8::to_string);
    option(&mut out, "from", from, &None, |it| it.map(|it| it.to_string()).unwrap_or_default());
    option(&mut out, "src", source, &None, |it| it.map(|it| it.to_string()).unwrap_or_default());
    option(&mut out, "tos", tos, &0, u8::to_string);
    option(&mut out, "table", table, &always.table, u32::to_string);
    option(&mut out, "protocol", protocol, &always.protocol, u8::to_string);
    option(&mut out, "scope", scope, &0, u8::to_string);
    option(&mut out, "metric", metric, &0, u32::to_string);
    option(&mut out, "", metrics, &always.metrics, |it| format!("{it:?}"));
    option(&mut out, "expires", expires, &None, |it| format!("{it:?}"));
    option(&mut out, "pref", preference, &None, |it| format!("{it:?}"));
    option(&mut out, "ttl-propagate", ttl_propagate, &None, |it| format!("{it:?}"));
    for one in hops {
        hop(&mut out, one, interfaces);
    }
    option(&mut out, "no_track", kept, &true, |_| String::new());
    out
}

fn hop(out: &mut String, hop: &Hop, interfaces: &[String]) {
    let Hop { gateway, interface, weight, onlink, realms, encap } = hop;
    if *weight > 0 {
        out.push_str(" nexthop");
    }
    option(out, "via", gateway, &None, |it| it.map(|it| it.to_string()).unwrap_or_default());
    option(out, "dev", interface, &None, |it| it.map(|id| interfaces[id.index()].clone()).unwrap_or_default());
    option(out, "weight", weight, &0, u16::to_string);
    option(out, "onlink", onlink, &false, |_| String::new());
    option(out, "realms", realms, &0, |it| format!("{}/{}", it >> 16, it & 0xffff));
    option(out, "encap", encap, &None, |it: &Option<Encap>| format!("{it:?}"));
}

fn rule(rule: &Rule, interfaces: &[String]) -> String {
    let Rule {
        family,
        inverted,
        from,
        to,
        action,
        preference,
        tos,
        mark,
        realms,
        suppress_prefix_length,
        suppress_group,
        iif,
        oif,
        tunnel,
        uids,
        protocol,
        ip_protocol,
        source_ports,
        destination_ports,
        kept,
    } = rule;
    let mut out = format!("rule {preference} {family:?} {action:?}");
    option(&mut out, "not", inverted, &false, |_| String::new());
    option(&mut out, "from", from, &None, |it| it.map(|it| it.to_string()).unwrap_or_default());
    option(&mut out, "to", to, &None, |it| it.map(|it| it.to_string()).unwrap_or_default());
    option(&mut out, "tos", tos, &0, u8::to_string);
    option(&mut out, "fwmark", mark, &None, |it| format!("{it:x?}"));
    option(&mut out, "realms", realms, &0, |it| format!("{}/{}", it >> 16, it & 0xffff));
    option(&mut out, "suppress_prefixlength", suppress_prefix_length, &None, |it| format!("{it:?}"));
    option(&mut out, "suppress_ifgroup", suppress_group, &None, |it| format!("{it:?}"));
    option(&mut out, "iif", iif, &None, |it| it.map(|id| interfaces[id.index()].clone()).unwrap_or_default());
    option(&mut out, "oif", oif, &None, |it| it.map(|id| interfaces[id.index()].clone()).unwrap_or_default());
    option(&mut out, "tunnel-id", tunnel, &None, |it| format!("{it:?}"));
    option(&mut out, "uidrange", uids, &None, |it| format!("{it:?}"));
    option(&mut out, "protocol", protocol, &18, u8::to_string);
    option(&mut out, "ipproto", ip_protocol, &None, |it| format!("{it:?}"));
    option(&mut out, "sport", source_ports, &None, |it| format!("{it:?}"));
    option(&mut out, "dport", destination_ports, &None, |it| format!("{it:?}"));
    option(&mut out, "no_track", kept, &true, |_| String::new());
    out
}
