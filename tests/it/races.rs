//! Of many at once exactly one.

use std::sync::Arc;

use countersign_sdk::key::Curve;
use serde_json::json;

use crate::support::{EvmWallet, RESOURCE, SIGNED_MESSAGE, Server, jkt, key};

#[tokio::test(flavor = "multi_thread")]
async fn of_64_posts_of_one_message_one_gets_a_token() {
    let (server, wallet, session) =
        (Arc::new(Server::development().await), EvmWallet::new(), Arc::new(key(Curve::P256)));
    let challenge = server
        .challenge(&json!({
            "account": wallet.account(), "resource": RESOURCE, "dpop_jkt": jkt(&session),
        }))
        .await;
    let message = Arc::new(challenge.text("message").to_owned());
    let signature = Arc::new(wallet.sign(&message));
    let posts: Vec<_> = (0..64)
        .map(|_| {
            let (server, session) = (Arc::clone(&server), Arc::clone(&session));
            let (message, signature) = (Arc::clone(&message), Arc::clone(&signature));
            tokio::spawn(async move {
                let form = [
                    ("grant_type", SIGNED_MESSAGE),
                    ("message", &*message),
                    ("signature", &*signature),
                ];
                // Each with a proof of its own, so that only the nonce can decide.
                server.token(&form, Some(&server.proof(&session))).await
            })
        })
        .collect();
    let mut tokens = 0;
    for post in posts {
        let answer = post.await.unwrap();
        if answer.status == 200 {
            tokens += 1;
        } else {
            answer.refused(400, "invalid_grant", "nonce_used");
        }
    }
    assert_eq!(tokens, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_requests_with_one_proof_one_passes() {
    let (server, session) = (Arc::new(Server::development().await), key(Curve::Ed25519));
    let proof = Arc::new(server.proof(&session));
    let mut posts = Vec::new();
    for _ in 0..32 {
        let wallet = EvmWallet::new();
        let challenge = server
            .challenge(&json!({
                "account": wallet.account(), "resource": RESOURCE, "dpop_jkt": jkt(&session),
            }))
            .await;
        let message = challenge.text("message").to_owned();
        let signature = wallet.sign(&message);
        let (server, proof) = (Arc::clone(&server), Arc::clone(&proof));
        posts.push(tokio::spawn(async move {
            let form = [
                ("grant_type", SIGNED_MESSAGE),
                ("message", &*message),
                ("signature", &*signature),
            ];
            server.token(&form, Some(&proof)).await
        }));
    }
    let mut tokens = 0;
    for post in posts {
        let answer = post.await.unwrap();
        if answer.status == 200 {
            tokens += 1;
        } else {
            answer.refused(400, "invalid_dpop_proof", "proof_replayed");
        }
    }
    assert_eq!(tokens, 1);
}
