//! Where a server is: its address, or what its name stands for at this moment.

use std::net::SocketAddr;

use tokio::net::lookup_host;

use super::Target;

/// Where a host is now.
pub async fn locate(target: &Target) -> Result<SocketAddr, String> {
    let Target { host, port } = target;
    if let Ok(address) = host.0.parse() {
        return Ok(SocketAddr::new(address, *port));
    }
    let mut found = lookup_host((host.0.as_str(), *port)).await.map_err(|error| format!("{}: {error}", host.0))?;
    found.next().ok_or_else(|| format!("{} has no address", host.0))
}
