//! Health on the operations listener: whether the process lives, and whether it takes requests, its store answers and its decisions are recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::StatusCode;

use crate::audit::Audit;
use crate::store::Store;

/// Whether the server takes requests.
#[derive(Debug)]
pub struct Health {
    ready: AtomicBool,
    store: Arc<dyn Store>,
    audit: Audit,
}

impl Health {
    /// Of a server that takes none yet.
    pub fn new(store: Arc<dyn Store>, audit: Audit) -> Self {
        Self { ready: AtomicBool::new(false), store, audit }
    }

    /// Says that requests are taken, or, while draining, that they no longer are.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }
}

/// `GET /health/live`: 200 as long as the process answers.
pub(crate) async fn live() -> &'static str {
    "live\n"
}

/// `GET /health/ready`: 200, or 503 while starting and draining, and while the store does not answer or the audit log cannot be written.
pub(crate) async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, &'static str) {
    let is_kept = health.store.is_available() && health.audit.check().is_ok();
    if health.ready.load(Ordering::Acquire) && is_kept {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
