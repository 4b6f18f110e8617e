//! The nodes of chains, and the accounts that are asked about, as a configuration writes them.

use super::*;
use crate::rpc::BlockTag;

fn with(tables: &str) -> Result<Settings, Vec<String>> {
    loaded(&format!("{LEAST}{tables}"), &[], Flags::default())
}

#[test]
fn nodes_are_read_chain_by_chain_and_shown_nowhere() {
    let settings = with(
        "allow = [\"eip155:10:0xf3f4f90b63eb726bf2778b99c98cb9a8227518ed\", \"near:testnet:a.testnet\"]
contract_accounts = false
[[rpc]]
chain = \"eip155:10\"
urls = [\"https://one.example/v2/hush\", \"https://two.example\", \"http://127.0.0.1:8545\"]
block = \"safe\"
factories = [\"0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed\"]
[[rpc]]
chain = \"near:mainnet\"
urls = [\"https://near.example\"]
timeout = 9
max_answer_bytes = 2048
",
    )
    .unwrap();
    assert!(!format!("{settings:?}").contains("hush"));
    let [optimism, near] = settings.rpc.as_slice() else { panic!("two chains") };
    assert_eq!((optimism.chain.to_string(), optimism.urls.len()), ("eip155:10".to_owned(), 3));
    assert_eq!((optimism.quorum, optimism.timeout, optimism.max_answer_bytes), (2, 5, 65_536));
    assert_eq!((optimism.block, optimism.factories.len()), (BlockTag::Safe, 1));
    assert_eq!(optimism.urls[0].expose().as_str(), "https://one.example/v2/hush");
    assert_eq!((near.quorum, near.timeout, near.max_answer_bytes), (1, 9, 2048));
    let ResourcePolicy::Listed(resources) = settings.resources else { panic!("no resources") };
    let rules = &resources[0].rules;
    assert!(!rules.contract_accounts);
    let address = "0xF3F4F90b63eb726Bf2778B99c98Cb9a8227518Ed";
    let named = "did:pkh:near:testnet:a.testnet".to_owned();
    // A key has one name for all chains, a contract one for each.
    assert_eq!(rules.allow, [format!("did:pkh:eip155:1:{address}"), named.clone()]);
    assert_eq!(rules.allow_on_chain, [format!("did:pkh:eip155:10:{address}"), named]);
}

#[test]
fn each_fault_of_nodes_is_told_with_its_place_and_without_their_urls() {
    let table = |lines: &str| format!("[[rpc]]\nchain = \"eip155:1\"\n{lines}");
    let two = "urls = [\"https://a.example\", \"https://b.example\"]\n";
    for (tables, fault) in [
        ("rpc = 1\n".to_owned(), "FILE:5: resources[0].rpc: is not a known key"),
        (
            "[[rpc]]\nurls = [\"https://a.example\"]\n".to_owned(),
            "FILE:5: rpc[0].chain: is required (accepted: a CAIP-2 chain of Ethereum or NEAR, such as eip155:1 or near:mainnet)",
        ),
        (
            "[[rpc]]\nchain = \"sui:mainnet\"\nurls = [\"https://a.example\"]\n".to_owned(),
            "FILE:6: rpc[0].chain: is of a namespace whose chains are not asked anything (accepted: a CAIP-2 chain of Ethereum or NEAR, such as eip155:1 or near:mainnet)",
        ),
        (
            table("urls = []\n"),
            "FILE:7: rpc[0].urls: asks nobody: name at least one node (accepted: a list, each an https URL (http for loopback))",
        ),
        (
            table("urls = [\"http://a.example/hush\"]\n"),
            "FILE:7: rpc[0].urls[0]: must be https: http is accepted for loopback alone (accepted: an https URL (http for loopback))",
        ),
        (
            table("urls = [\"https://a.example/hush\", \"https://a.example/hush\"]\n"),
            "FILE:7: rpc[0].urls[1]: is listed already, as rpc[0].urls[0]",
        ),
        (
            table(&format!("{two}quorum = 1\n")),
            "FILE:8: rpc[0].quorum: must be more than half of the 2 of urls",
        ),
        (table(&format!("{two}quorum = 3\n")), "FILE:8: rpc[0].quorum: is more than the 2 of urls"),
        (
            table(&format!("{two}factories = [\"0xf3f4f90b63eb726bf2778b99c98cb9a8227518ed\"]\n")),
            "FILE:8: rpc[0].factories[0]: is not in the case of its checksum, and may be mistyped (accepted: an address in the case of its EIP-55 checksum, 0x…)",
        ),
        (
            format!("{}[[rpc]]\nchain = \"eip155:1\"\n{two}", table(two)),
            "FILE:9: rpc[1].chain: has its nodes in rpc[0] already",
        ),
        (
            format!("[[rpc]]\nchain = \"near:mainnet\"\n{two}block = \"latest\"\n"),
            "FILE:8: rpc[0].block: is of no use to NEAR: leave it out",
        ),
    ] {
        assert_eq!(with(&tables).unwrap_err(), [fault], "{tables}");
    }
    for tables in [
        table("urls = \"https://a.example/hush\"\n"),
        table(&format!("{two}block = \"https://a.example/hush\"\n")),
        table(&format!("{two}factories = \"https://a.example/hush\"\n")),
        "[[rpc]]\nchain = \"https://a.example/hush\"\nurls = [\"https://a.example/hush\"]\n"
            .to_owned(),
        "[rpc]\nurls = [\"https://a.example/hush\"]\n".to_owned(),
    ] {
        let faults = with(&tables).unwrap_err();
        assert!(!faults.is_empty() && !format!("{faults:?}").contains("hush"), "{faults:?}");
    }
    for first in ["rpc = \"https://a.example/hush\"\n", "rpc = [\"https://a.example/hush\"]\n"] {
        let faults = loaded(&format!("{first}{LEAST}"), &[], Flags::default()).unwrap_err();
        assert_eq!(
            faults,
            ["FILE:1: rpc: must be a list of tables, each written [[rpc]]"].map(|line| {
                line.replace("rpc:", if first.contains('[') { "rpc[0]:" } else { "rpc:" })
            })
        );
    }
    let one = "urls = [\"https://a.example\"]\ndelegated = true\n";
    assert_eq!(
        with(&table(one)).unwrap_err(),
        [
            "FILE:8: rpc[0].delegated: is not taken on eip155:1, where delegated code would have the subject of its key"
        ]
    );
    let other = with(&table(one).replace("155:1", "155:10")).unwrap();
    assert_eq!((other.rpc[0].delegated, other.rpc[0].max_block_age), (true, 300));
    let variable = [("COUNTERSIGN_RPC__URLS", "https://a.example/hush")];
    let faults = loaded(LEAST, &variable, Flags::default()).unwrap_err();
    let expected =
        "COUNTERSIGN_RPC__URLS: sets no key: nodes are written in the configuration file";
    assert_eq!(faults, [expected]);
}
