//! `track_group`: virtual routers that cannot serve without static addresses, routes and rules, as it is written.

use super::sync_group::Members;
use super::unsupported;
use crate::syntax::schema::block;

block! {
    /// Virtual routers that static addresses, routes and rules name together.
    pub struct TrackGroup, others (unsupported::NONE) {
        /// The names of its virtual routers.
        "group" => group: Members;
    }
}
