//! `vrrpd_dual_version`: whether a virtual router speaks both versions (RFC 9568 section 8.4).

use vrrp_common::{Centis, Family, Version};

use super::Resolver;
use crate::syntax::diagnostic::Class;
use crate::syntax::schema::{At, Switch};
use crate::syntax::source::Span;

impl Resolver<'_> {
    /// Where it is asked for, if that can be done.
    pub(super) fn both_versions(
        &mut self,
        given: Switch,
        (version, family): (Version, Family),
        advert_int: Centis,
        name: &str,
    ) -> Option<Span> {
        let At { at, .. } = given.0.filter(|given| given.value)?;
        if family == Family::V6 {
            let message = format!("({name}) `vrrpd_dual_version` is of IPv4 alone: version 2 has no IPv6");
            self.found.warning(Class::Conflict, at, message).done("it is ignored");
            return None;
        }
        if version == Version::V2 {
            let message = format!("({name}) `vrrpd_dual_version` needs `version 3`");
            let diagnostic = self.found.warning(Class::Conflict, at, message).done("version 2 is spoken alone");
            diagnostic
                .hint("write `version 3`, too; keepalived, which does not know the keyword, then speaks that alone");
            return None;
        }
        let said = Centis::new(u16::from(advert_int.seconds()) * 100).filter(|said| *said != advert_int);
        if let Some(said) = said.filter(|_| advert_int > Centis::SECOND) {
            let message = format!("({name}) version 2 has whole seconds, and `advert_int` is {advert_int} s");
            let diagnostic = self.found.warning(Class::Value, at, message);
            diagnostic
                .done(format!("its adverts say {said} s"))
                .hint(format!("write `advert_int {said}` on all routers"));
        }
        // IV-06.
        let message = format!("({name}) `vrrpd_dual_version` is for an upgrade, not for good");
        let diagnostic = self.found.notice(Class::Incomplete, at, message);
        diagnostic.hint("remove it when no router of version 2 is left");
        Some(at)
    }
}
