//! How a session is ended from this side: first at the issuer, then here.
//!
//! In the other order a log-out that did not reach the issuer would leave a session that lives on
//! and that nobody holds any more. So an issuer out of reach is an error and nothing is removed;
//! [`Session::forget`] is for whoever wants that all the same.

use super::error::ClientError;
use super::grant::Plan;
use super::renewal::Newest;
use super::session::{Session, Shared};
use super::token::Token;

impl Session {
    /// Ends the session at the issuer, with the tokens that it has given, and removes what was kept
    /// of it. An agent or a wallet that signs alone does not begin another by itself either.
    ///
    /// # Errors
    /// [`ClientError`], and nothing is removed, when the issuer did not confirm it.
    pub async fn log_out(&self) -> Result<(), ClientError> {
        self.0.leave(true).await
    }

    /// Removes what was kept, and ends the session here alone: at the issuer it lives on until its
    /// end, without anybody to use it.
    ///
    /// # Errors
    /// [`ClientError::Store`] when it is still there.
    pub async fn forget(&self) -> Result<(), ClientError> {
        self.0.leave(false).await
    }
}

impl Shared {
    /// Waits for a renewal that is under way, so that none comes after.
    pub(super) async fn leave(&self, at_the_issuer: bool) -> Result<(), ClientError> {
        let _renewal = self.renewal.lock().await;
        let Ok(current) = self.open() else { return Ok(()) };
        let Some(keeping) = &self.keeping else {
            if at_the_issuer {
                self.plan.give_up(&current).await?;
            }
            self.close();
            return Ok(());
        };
        let _held = keeping.store.lock(&keeping.name).await?;
        let newest = self.newest(keeping, &current).await?;
        if at_the_issuer {
            match &newest {
                Newest::Theirs(token) => self.plan.give_up(token).await?,
                Newest::Ours | Newest::Gone => self.plan.give_up(&current).await?,
            }
        }
        match newest {
            Newest::Ours | Newest::Theirs(_) => keeping.store.remove(&keeping.name).await?,
            // What lies there is another session's.
            Newest::Gone => {}
        }
        self.close();
        Ok(())
    }
}

impl Plan {
    /// Revokes the session by its refresh token, or the access token where there is no session.
    pub(super) async fn give_up(&self, token: &Token) -> Result<(), ClientError> {
        match &token.refresh_token {
            Some(refresh_token) => self.revoke(refresh_token.expose(), "refresh_token").await,
            None => self.revoke(token.access_token.expose(), "access_token").await,
        }
    }
}

#[cfg(test)]
#[path = "log_out_tests.rs"]
mod tests;
