//! A proxy before the token endpoint that loses, delays, doubles and reorders answers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// What was done to the answers of the token endpoint.
#[derive(Debug, Default)]
pub(crate) struct Toll {
    pub(crate) lost: AtomicUsize,
    pub(crate) delayed: AtomicUsize,
    pub(crate) doubled: AtomicUsize,
    pub(crate) passed: AtomicUsize,
}

/// Loses one in five answers, after the server has done what it was asked for, as long as it is
/// switched on. Of the rest it delays some, so that later ones overtake them, and sends some
/// requests twice.
#[derive(Debug)]
pub(crate) struct LossyProxy {
    pub(crate) url: String,
    pub(crate) toll: Toll,
    loss_percent: AtomicU64,
    dice: AtomicU64,
    http: reqwest::Client,
}

impl LossyProxy {
    /// A listener for [`LossyProxy::run`], whose address is known before there is a server.
    pub(crate) async fn listener() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        (listener, url)
    }

    /// Serves `listener` for the server at `upstream`; nothing is lost before `lose` says so.
    pub(crate) fn run(listener: TcpListener, upstream: String, seed: u64) -> Arc<Self> {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Arc::new(Self {
            url,
            toll: Toll::default(),
            loss_percent: AtomicU64::new(0),
            dice: AtomicU64::new(seed),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        });
        let serving = Arc::clone(&proxy);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (proxy, upstream) = (Arc::clone(&serving), upstream.clone());
                let service = service_fn(move |request| {
                    let (proxy, upstream) = (Arc::clone(&proxy), upstream.clone());
                    async move { proxy.pass(&upstream, request).await }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .auto_date_header(false)
                    .serve_connection(TokioIo::new(stream), service);
                // A lost answer ends its connection with an error, as it is meant to.
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        proxy
    }

    pub(crate) fn lose(&self, percent: u64) {
        self.loss_percent.store(percent, Ordering::Relaxed);
    }

    /// A number below 100, the same sequence for the same seed.
    fn roll(&self) -> u64 {
        let step = |state: u64| {
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
        };
        let before =
            self.dice.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| Some(step(state)));
        (step(before.unwrap_or_default()) >> 33) % 100
    }

    async fn pass(
        &self,
        upstream: &str,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, io::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let url = format!("{upstream}{}", parts.uri.path_and_query().unwrap());
        let send = || async {
            let mut headers = parts.headers.clone();
            headers.remove("host");
            let sent =
                self.http.request(parts.method.clone(), &url).headers(headers).body(body.clone());
            answer(sent.send().await.map_err(io::Error::other)?).await
        };
        let loss = self.loss_percent.load(Ordering::Relaxed);
        if parts.uri.path() != "/token" || loss == 0 {
            return send().await;
        }
        let (fate, which) = (self.roll(), self.roll());
        let mut answered = send().await?;
        if fate >= 90 {
            self.toll.doubled.fetch_add(1, Ordering::Relaxed);
            let second = send().await?;
            if which < 50 {
                answered = second;
            }
        } else if fate >= 60 {
            self.toll.delayed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(which)).await;
        }
        if self.roll() < loss {
            self.toll.lost.fetch_add(1, Ordering::Relaxed);
            return Err(io::Error::other("lost on the way"));
        }
        self.toll.passed.fetch_add(1, Ordering::Relaxed);
        Ok(answered)
    }
}

async fn answer(from: reqwest::Response) -> Result<Response<Full<Bytes>>, io::Error> {
    let (status, mut headers) = (from.status(), from.headers().clone());
    headers.remove("transfer-encoding");
    // The machine's time, of which the clock of a test knows nothing.
    headers.remove("date");
    headers.remove("content-length");
    let body = from.bytes().await.map_err(io::Error::other)?;
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(answer)
}
