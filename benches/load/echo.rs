//! The bare program: axum with nothing in it, and axum with nothing but the signatures.
//!
//! `POST /echo` gives back what it got, which is a request at its cheapest. `POST /work/<path>`
//! first does the signature operations of a path: the floor as a program, with the caches as cold
//! as a server has them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path as Segment, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use bytes::Bytes;

use crate::Failure;
use crate::floor::Bare;
use crate::paths;

/// Serves until the parent ends it.
pub(crate) fn run() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve())
}

async fn serve() -> Result<(), Failure> {
    let routes = Router::new()
        .route("/echo", post(async |body: Bytes| body))
        .route("/bytes/{count}", get(bytes))
        .route("/work/{path}", post(work))
        .with_state(Arc::new(Bare::new()?));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    // Answers are small; the kernel must not hold them back.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    Ok(axum::serve(listener, routes).await?)
}

async fn bytes(Segment(count): Segment<usize>) -> Bytes {
    Bytes::from(vec![b' '; count.min(1 << 16)])
}

async fn work(
    State(bare): State<Arc<Bare>>,
    Segment(path): Segment<String>,
    body: Bytes,
) -> Result<Bytes, StatusCode> {
    let path = paths::named(&path).map_err(|_| StatusCode::NOT_FOUND)?;
    let done = path.signatures().iter().all(|one| bare.once(*one));
    if done { Ok(body) } else { Err(StatusCode::INTERNAL_SERVER_ERROR) }
}
