//! Whether a server takes connections.

use tokio::net::TcpStream;

use super::Target;
use super::locate::locate;

pub async fn ask(target: &Target) -> Result<String, String> {
    connect(target).await.map(|_| "connected".to_owned())
}

/// A connection to where the host is now.
pub async fn connect(target: &Target) -> Result<TcpStream, String> {
    let address = locate(target).await?;
    TcpStream::connect(address).await.map_err(|error| format!("{address}: {error}"))
}
