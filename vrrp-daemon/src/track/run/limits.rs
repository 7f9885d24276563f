//! The resource limits that scripts run with: those that the daemon was started with, whatever it made of its own.

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit};

/// What the daemon changes for itself.
const CHANGED: [Resource; 2] = [Resource::RLIMIT_NOFILE, Resource::RLIMIT_RTTIME];

static INHERITED: OnceLock<Vec<Limit>> = OnceLock::new();

/// One limit, in the kernel's form.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub resource: libc::__rlimit_resource_t,
    pub limit: libc::rlimit,
}

/// Remembers the limits of now; to be called before any is changed.
pub fn remember() {
    inherited();
}

/// The limits that were remembered, or else those of now.
pub fn inherited() -> &'static [Limit] {
    INHERITED.get_or_init(|| {
        // An error says that the kernel does not know it: nothing to restore.
        let limit = |resource| Some((resource, getrlimit(resource).ok()?));
        let limits = CHANGED.into_iter().filter_map(limit);
        let limits = limits.map(|(resource, (soft, hard))| Limit {
            resource: resource as libc::__rlimit_resource_t,
            limit: libc::rlimit { rlim_cur: soft, rlim_max: hard },
        });
        limits.collect()
    })
}
