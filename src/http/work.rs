//! What has begun is finished: a client that goes away does not end the work that it has asked for.
//!
//! A connection that closes drops its handler wherever that waits, and so it could between the store's change
//! and the record of it: something would be revoked, and nothing would say so. So whatever changes
//! the store runs in a task of its own, and a server that stops waits for those tasks before it
//! closes the log.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::reason::{Reason, Refusal};

/// The work that is under way. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Work(Arc<watch::Sender<usize>>);

/// One piece of it, until this is dropped.
#[derive(Debug)]
pub struct Piece(Work);

impl Piece {
    fn of(work: &Work) -> Self {
        work.0.send_modify(|pieces| *pieces = pieces.saturating_add(1));
        Self(work.clone())
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.0.0.send_modify(|pieces| *pieces = pieces.saturating_sub(1));
    }
}

impl Work {
    /// Does it to its end, whether or not anybody waits for the answer.
    ///
    /// # Errors
    /// Those of the work; [`Reason::ServerError`] when it was broken off.
    pub async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, Refusal> {
        let piece = Piece::of(self);
        let done = tokio::spawn(async move {
            let _until_it_ends = piece;
            work.await
        });
        let broken_off = |_| Refusal::new(Reason::ServerError, "the request was broken off");
        done.await.map_err(broken_off).and_then(|done| done)
    }

    /// Something begins that the end waits for.
    pub fn begin(&self) -> Piece {
        Piece::of(self)
    }

    /// Waits until nothing is under way.
    pub async fn ended(&self) {
        // The sender is ours, so it cannot be gone.
        let _ = self.0.subscribe().wait_for(|pieces| *pieces == 0).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_when_nobody_waits_for_it_and_the_end_waits() {
        let work = Work::default();
        let (go_on, wait) = tokio::sync::oneshot::channel::<()>();
        let (done, is_done) = tokio::sync::oneshot::channel();
        let asked = work.to_its_end(async move {
            // The store answers, and the record is still to be made.
            let _ = wait.await;
            let _ = done.send("recorded");
            Ok(())
        });
        // The client has closed its connection: its handler is dropped after the first look.
        let given_up = tokio::time::timeout(Duration::ZERO, asked).await;
        assert!(given_up.is_err());
        assert!(tokio::time::timeout(Duration::ZERO, work.ended()).await.is_err());
        go_on.send(()).unwrap();
        work.ended().await;
        assert_eq!(is_done.await.unwrap(), "recorded");
    }

    #[tokio::test]
    async fn work_that_breaks_off_is_a_fault_and_is_not_waited_for() {
        let work = Work::default();
        let broken = work.to_its_end::<()>(async { panic!("a fault of the program") }).await;
        assert_eq!(broken.unwrap_err().reason(), Reason::ServerError);
        work.ended().await;
    }
}
