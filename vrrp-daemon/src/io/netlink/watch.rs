//! Connections over which the kernel tells of changes.

use anyhow::Context;
use futures_util::{StreamExt, stream};
use nix::sys::socket::{setsockopt, sockopt};
use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage as Route;
use rtnetlink::sys::AsyncSocket;

/// Kernel buffer for events: tens of thousands of them.
const RECEIVE_BUFFER: usize = 4 << 20;

pub type Events = stream::BoxStream<'static, NetlinkMessage<Route>>;

/// Hears of everything in these groups, and of each time that events were lost ([`NetlinkPayload::Overrun`]).
pub fn watch(groups: &'static [MulticastGroup]) -> anyhow::Result<Events> {
    let going_on = |mut events: Events| async {
        let event = events.next().await?;
        // A connection that lost some is not woken again by itself: another one takes its place.
        if matches!(event.payload, NetlinkPayload::Overrun(_)) {
            events = listen(groups).inspect_err(|error| tracing::error!("{error:#}")).ok()?;
        }
        Some((event, events))
    };
    Ok(stream::unfold(listen(groups)?, going_on).boxed())
}

fn listen(groups: &[MulticastGroup]) -> anyhow::Result<Events> {
    let (mut connection, handle, events) =
        rtnetlink::new_multicast_connection(groups).context("cannot open a netlink socket")?;
    let socket = connection.socket_mut().socket_mut();
    // Beyond the administrator's limit if we may, else up to it.
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err()
        && let Err(error) = socket.set_rx_buf_sz(RECEIVE_BUFFER)
    {
        tracing::warn!(%error, "cannot enlarge the netlink socket's buffer");
    }
    tokio::spawn(connection);
    // As long as somebody could ask by it, the connection goes on.
    let message = move |(message, _)| {
        let _open = &handle;
        message
    };
    Ok(events.map(message).boxed())
}

/// The next event; none ever while nothing is watched.
pub async fn next(events: &mut Option<Events>) -> Option<NetlinkMessage<Route>> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}
