//! When nodes are believed, told by what they say and in which order.

use std::sync::Mutex;
use std::time::Duration;

use countersign_sdk::account::{Account, ChainId};
use countersign_sdk::entropy::OsEntropy;
use countersign_sdk::proof::replay::ReplayKey;
use countersign_sdk::time::Timestamp;
use tokio::sync::Semaphore;
use url::Url;

use super::*;
use crate::model::session::SessionId;
use crate::rpc::places::MAX_SIGN_INS;
use crate::rpc::{Asker, BlockTag};

fn chain(nodes: usize, quorum: usize) -> Chain {
    let url = |port| Url::parse(&format!("http://127.0.0.1:{port}/key")).unwrap();
    Chain::new(ChainNodes {
        chain: ChainId::new("eip155", "1").unwrap(),
        urls: (1..=nodes).map(url).collect(),
        quorum,
        timeout: Duration::from_secs(30),
        max_answer: 1024,
        block: BlockTag::Latest,
        max_block_age: 300,
        delegated: false,
        factories: Vec::new(),
    })
    .unwrap()
}

fn asking(asker: Asker) -> Asking {
    Asking::new(asker, Timestamp::from_unix(1), &OsEntropy).unwrap()
}

fn sign_in() -> Asking {
    let message = ReplayKey::of_bytes("test", b"message");
    asking(Asker::SignIn { message, until: Timestamp::from_unix(300) })
}

fn of_session(name: u8) -> Asking {
    asking(Asker::Session(SessionId::from_bytes([name; 16])))
}

fn block(number: u64) -> Block {
    Block { number, time: None }
}

fn account(address: &str) -> Account {
    format!("eip155:1:{address}").parse().unwrap()
}

/// What a chain says whose nodes say these, each at its block; `None` fails, `-` never answers.
async fn says(quorum: usize, nodes: &[Option<(char, u64)>]) -> Result<(char, u64), AskError> {
    let chain = chain(nodes.len(), quorum);
    let left = Mutex::new(nodes.iter().rev().copied().collect::<Vec<_>>());
    let asking = sign_in();
    let about = account("0x01");
    let agreed = chain.agree(&asking, &about, |_| {
        let next = left.lock().unwrap().pop().unwrap();
        async move {
            match next {
                Some(('-', _)) => std::future::pending().await,
                Some((said, number)) => Ok(Reading { said, block: block(number) }),
                None => Err(NodeError::TimedOut),
            }
        }
    });
    agreed.await.map(|reading| (reading.said, reading.block.number))
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
async fn only_so_many_questions_are_under_way_and_sign_ins_leave_room_for_sessions() {
    let chain = chain(1, 1);
    let places = chain.places.sign_ins.acquire_many(MAX_SIGN_INS as u32).await.unwrap();
    let ask = |_| async { Ok(Reading { said: true, block: block(1) }) };
    let yes = Ok(Reading { said: true, block: block(1) });
    let about = account("0x01");
    assert_eq!(chain.agree(&sign_in(), &about, ask).await, Err(AskError::Crowded));
    assert_eq!(chain.agree(&of_session(1), &about, ask).await, yes);
    drop(places);
    assert_eq!(chain.agree(&sign_in(), &about, ask).await, yes);
    assert_eq!(format!("{chain:?}"), "1 of 1 nodes of eip155:1");
}

/// Whoever has a slow contract of his own keeps no other session from being asked about.
#[tokio::test]
async fn a_session_has_two_places_and_those_of_one_account_eight() {
    let chain = chain(1, 1);
    let (slow, other) = (account("0x01"), account("0x02"));
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let wait = move |_| {
        let held = Arc::clone(&held);
        async move {
            let _opened = held.acquire_owned().await;
            Ok(Reading { said: true, block: block(1) })
        }
    };
    let at_once = |_| async { Ok(Reading { said: true, block: block(1) }) };
    let yes = Ok(Reading { said: true, block: block(1) });
    let twice = |name: u8| {
        let (chain, slow, wait) = (&chain, &slow, wait.clone());
        async move {
            let asking = of_session(name);
            tokio::join!(
                chain.agree(&asking, slow, wait.clone()),
                chain.agree(&asking, slow, wait.clone()),
            )
        }
    };
    let one = async {
        // The third of a session, while its account has room for others.
        assert_eq!(chain.agree(&of_session(1), &slow, at_once).await, Err(AskError::Crowded));
    };
    let others = async {
        for _ in 0..100 {
            assert_eq!(chain.agree(&of_session(5), &slow, at_once).await, Err(AskError::Crowded));
        }
        assert_eq!(chain.agree(&of_session(5), &other, at_once).await, yes);
        // Who signs in has proven nothing about the account, and has it wait for nobody.
        assert_eq!(chain.agree(&sign_in(), &slow, at_once).await, yes);
        gate.add_permits(1);
    };
    let both = (yes, yes);
    let (of_1, (), of_2, of_3, of_4, ()) =
        tokio::join!(twice(1), one, twice(2), twice(3), twice(4), others);
    assert_eq!([of_1, of_2, of_3, of_4], [both; 4]);
    while chain.agree(&of_session(5), &slow, at_once).await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// Who hangs up frees no place: the nodes are still busy with the question.
#[tokio::test]
async fn a_place_is_taken_until_every_node_has_ended() {
    let chain = chain(1, 1);
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let ask = move |_| {
        let held = Arc::clone(&held);
        async move {
            let _opened = held.acquire_owned().await;
            Ok(Reading { said: true, block: block(1) })
        }
    };
    let asking = sign_in();
    {
        let about = account("0x01");
        let asked = chain.agree(&asking, &about, ask);
        let hung_up = tokio::time::timeout(Duration::from_millis(1), asked).await;
        assert!(hung_up.is_err());
    }
    assert_eq!(chain.places.sign_ins.available_permits(), MAX_SIGN_INS - 1);
    gate.add_permits(1);
    let all = chain.places.sign_ins.acquire_many(MAX_SIGN_INS as u32).await.unwrap();
    drop(all);
}

#[test]
fn a_block_far_below_one_that_was_believed_is_not() {
    let chain = chain(1, 1);
    assert_eq!(chain.lowest(), 0);
    for (reached, lowest) in [(10_000, 9400), (9500, 9400), (10_001, 9401)] {
        chain.has_reached(reached);
        assert_eq!(chain.lowest(), lowest);
    }
}
