//! Whether a web server answers with the right status, and the right text. Each time it is asked anew: a connection that is
//! kept would go on to a server that takes no more.

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::rt::{Read, Write};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::{Page, tcp, tls};

/// Octets of a body that are looked at.
const BODY_LENGTH: usize = 64 << 10;

pub async fn ask(page: &Page) -> Result<String, String> {
    let stream = tcp::connect(&page.url.target).await?;
    match page.url.is_secret {
        true => converse(page, TokioIo::new(tls::secure(stream, &page.url.target.host, page.verified).await?)).await,
        false => converse(page, TokioIo::new(stream)).await,
    }
}

async fn converse(page: &Page, stream: impl Read + Write + Unpin + Send + 'static) -> Result<String, String> {
    let (mut sender, connection) = http1::handshake(stream).await.map_err(|error| shown(&error))?;
    // Ended with this function, however that ends.
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let response = sender.send_request(request(page)?).await.map_err(|error| shown(&error))?;
    let status = response.status();
    if !page.statuses.iter().any(|right| right.contains(&status.as_u16())) {
        return Err(format!("status {}", status.as_u16()));
    }
    if let Some(text) = &page.body {
        look_for(text, response).await?;
    }
    Ok(format!("status {}", status.as_u16()))
}

fn request(page: &Page) -> Result<Request<Empty<Bytes>>, String> {
    let uri = &page.url.uri;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(HOST, uri.authority().map_or("", |authority| authority.as_str()))
        .header(USER_AGENT, concat!("vrrpd/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close");
    request.body(Empty::new()).map_err(|error| error.to_string())
}

async fn look_for(text: &str, response: Response<Incoming>) -> Result<(), String> {
    let (mut body, mut read) = (response.into_body(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| shown(&error))?;
        read.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
        if read.windows(text.len()).any(|part| part == text.as_bytes()) {
            return Ok(());
        }
        if read.len() > BODY_LENGTH {
            break;
        }
    }
    Err(format!("the body does not contain {text:?}"))
}

/// With what is behind it: hyper's own sentence says little.
fn shown(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
