//! When nodes are believed, told by what they say and in which order.

use std::sync::Mutex;
use std::time::Duration;

use countersign_sdk::account::ChainId;
use url::Url;

use super::*;
use crate::rpc::BlockTag;

fn chain(nodes: usize, quorum: usize) -> Chain {
    let url = |port| Url::parse(&format!("http://127.0.0.1:{port}/key")).unwrap();
    Chain::new(ChainNodes {
        chain: ChainId::new("eip155", "1").unwrap(),
        urls: (1..=nodes).map(url).collect(),
        quorum,
        timeout: Duration::from_secs(30),
        max_answer: 1024,
        block: BlockTag::Latest,
        factories: Vec::new(),
    })
    .unwrap()
}

/// What a chain says whose nodes say these, each at its block; `None` fails, `-` never answers.
async fn says(quorum: usize, nodes: &[Option<(char, u64)>]) -> Result<(char, u64), AskError> {
    let chain = chain(nodes.len(), quorum);
    let left = Mutex::new(nodes.iter().rev().copied().collect::<Vec<_>>());
    let agreed = chain.agree(|_| {
        let next = left.lock().unwrap().pop().unwrap();
        async move {
            match next {
                Some(('-', _)) => std::future::pending().await,
                Some((said, block)) => Ok(Reading { said, block }),
                None => Err(NodeError::TimedOut),
            }
        }
    });
    agreed.await.map(|reading| (reading.said, reading.block))
}

#[tokio::test]
async fn as_many_as_the_quorum_say_the_same_or_nothing_is_known() {
    let (yes, no) = (Some(('y', 7)), Some(('n', 9)));
    let unavailable = Err(AskError::Unavailable);
    for (quorum, nodes, said) in [
        (1, &[yes][..], Ok(('y', 7))),
        (1, &[no], Ok(('n', 9))),
        (1, &[None], unavailable),
        (2, &[yes, yes], Ok(('y', 7))),
        (2, &[yes, no], unavailable),
        (2, &[yes, None], unavailable),
        (2, &[no, None, no], Ok(('n', 9))),
        (2, &[yes, no, yes], Ok(('y', 7))),
        (2, &[no, no, yes], Ok(('n', 9))),
        (2, &[yes, no, None], unavailable),
        (2, &[yes, Some(('z', 1)), no], unavailable),
        (3, &[yes, yes, no], unavailable),
        (3, &[yes, yes, yes], Ok(('y', 7))),
        (3, &[no, yes, yes, None, yes], Ok(('y', 7))),
        (3, &[no, yes, yes, no, None], unavailable),
    ] {
        assert_eq!(says(quorum, nodes).await, said, "{quorum} of {nodes:?}");
    }
    assert_eq!(says(0, &[]).await, unavailable, "nobody says nothing");
}

/// Nobody waits for a node once the others have decided; the block is the lowest at which they were asked.
#[tokio::test]
async fn a_slow_node_holds_up_nobody() {
    let nodes = [Some(('y', 12)), Some(('-', 0)), Some(('y', 11))];
    assert_eq!(says(2, &nodes).await, Ok(('y', 11)));
}

#[tokio::test]
async fn only_so_many_questions_are_under_way() {
    let chain = chain(1, 1);
    let places = chain.under_way.acquire_many(MAX_UNDER_WAY as u32).await.unwrap();
    let ask = |_| async { Ok(Reading { said: true, block: 1 }) };
    assert_eq!(chain.agree(ask).await, Err(AskError::Unavailable));
    drop(places);
    assert_eq!(chain.agree(ask).await, Ok(Reading { said: true, block: 1 }));
    assert_eq!(format!("{chain:?}"), "1 of 1 nodes of eip155:1");
}
