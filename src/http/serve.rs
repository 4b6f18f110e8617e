//! Connections: accepted within a bound, timed while they say nothing, drained at the end.
//!
//! HTTP/1.1 alone; TLS and newer versions end at the proxy in front. A client that opens a
//! connection and does not finish a request head is cut off, and so is one that does not read what it
//! is answered.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

use super::layers::{Gate, Peer};
use crate::limit::{RequestLimit, network_of};

/// The buffer for a request head, in bytes; a head that does not fit is answered 431.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// How long accepting pauses when the process has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The bounds on connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionBounds {
    /// Connections open at once; more wait to be accepted.
    pub max_connections: usize,
    /// How many of them one address may hold, or one /64 of IPv6; trusted proxies may hold all.
    pub per_address: usize,
    /// How long a request's head may take, from the moment at which one may begin.
    pub header_timeout: Duration,
    /// How long a write may wait for a client that does not read.
    pub write_timeout: Duration,
    /// How long open requests are given when the server stops.
    pub grace: Duration,
}

/// Serves `routes` until `stop` turns true, then lets open requests finish within the grace time.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    bounds: ConnectionBounds,
    gate: Arc<Gate>,
    mut stop: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(bounds.max_connections));
    let held = Arc::new(Held::default());
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(bounds.header_timeout)
        .max_buf_size(MAX_HEAD_BYTES);
    let mut failing = false;
    loop {
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            accepted = accepted => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (slot, (stream, peer)) = match (slot, accepted) {
            (Ok(slot), Ok(accepted)) => (slot, accepted),
            (_, accepted) => {
                // Said once for each time that accepting stops working, not for each attempt.
                if let (false, Err(error)) = (std::mem::replace(&mut failing, true), accepted) {
                    tracing::error!(%error, "connections cannot be accepted");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        failing = false;
        let Some(share) = held.take(peer.ip(), bounds.per_address, &gate.requests) else {
            // Without an answer, which would only hold the slot for longer.
            tracing::debug!(%peer, "the address holds as many connections as it may");
            continue;
        };
        let stream = timed(stream, peer, bounds.write_timeout);
        let connection = graceful.watch(connection(&http, stream, peer, routes.clone()));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "connection ended early");
            }
            drop((slot, share));
        });
    }
    drop(listener);
    if tokio::time::timeout(bounds.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were still open when the grace time ended");
    }
}

/// How many connections each address holds.
#[derive(Debug, Default)]
struct Held(Mutex<HashMap<IpAddr, usize>>);

/// One connection of an address, given back when dropped; none is counted for a trusted proxy.
struct Share(Option<(Arc<Held>, IpAddr)>);

impl Held {
    fn take(self: &Arc<Self>, peer: IpAddr, most: usize, limit: &RequestLimit) -> Option<Share> {
        if limit.trusts(peer) {
            return Some(Share(None));
        }
        let network = network_of(peer);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(network).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Share(Some((Arc::clone(self), network))))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some((held, network)) = &self.0 else {
            return;
        };
        let mut counts = held.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(network);
            }
        }
    }
}

/// The stream, which fails once a write has waited too long. Reading is timed by the request's parts.
fn timed(stream: TcpStream, peer: SocketAddr, write_timeout: Duration) -> Timed {
    // Answers are small; waiting to fill a segment would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "TCP_NODELAY was not set");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(write_timeout));
    Box::pin(stream)
}

type Timed = Pin<Box<TimeoutStream<TcpStream>>>;

/// One connection, each of its requests marked with the peer.
fn connection(
    http: &http1::Builder,
    stream: Timed,
    peer: SocketAddr,
    routes: Router,
) -> impl GracefulConnection<Error = hyper::Error> + use<> {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        routes.clone().oneshot(request)
    });
    http.serve_connection(TokioIo::new(stream), service)
}
