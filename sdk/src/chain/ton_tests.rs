//! TON's wallets and cells against what `@ton/ton` 16.3.0 makes of the key of 32 sevens.

use super::*;

const KEY: [u8; 32] = [7; 32];

/// v3r1, v3r2, v4r2, v5r1 and v5r1 for the test network.
const ADDRESSES: [&str; 5] = [
    "698386dcdf3ab4e6a14ebf27715ec164576cd1fb08603258eb73fc7721963541",
    "d20b8aa38e9c77902c130c8760bdbe407da810026dbad1b0f740e470a55f375f",
    "90d4b6f138065a04d8a8047eb892ccdb0b8d4cc298c0d2bfe28c88aa204f6195",
    "9e88a7a0cd2fa9a4a0d83f41daa773364b295d2855394419314df2ea91fee8fe",
    "8740ec1f40ef6bf8fe773a6b2fd2ed632c78d8195e6c6835b22efa730006bc15",
];

/// The first state of the v5r1 wallet, as that library writes it.
const V5R1: &str = "b5ee9c72010216010002b10002013401150114ff00f4a413f4bcf2c80b02020120030e020148040502dcd020d749c120915b8f6320d70b1f2082106578746ebd21821073696e74bdb0925f03e082106578746eba8eb48020d72101d074d721fa4030fa44f828fa443058bd915be0ed44d0810141d721f4058307f40e6fa1319130e18040d721707fdb3ce03120d749810280b99130e070e21110020120060d020120070a02016e08090019adce76a2684020eb90eb85ffc00019af1df6a2684010eb90eb858fc00201480b0c0017b325fb51341c75c875c2c7e00011b262fb513435c280200019be5f0f6a2684080a0eb90fa02c0102f20f011e20d70b1f82107369676ebaf2e08a7f1001e68ef0eda2edfb218308d722028308d723208020d721d31fd31fd31fed44d0d200d31f20d31fd3ffd70a000af90140ccf9109a28945f0adb31e1f2c087df02b35007b0f2d0845125baf2e0855036baf2e086f823bbf2d0882292f800de01a47fc8ca00cb1f01cf16c9ed542092f80fde70db3cd81103f6eda2edfb02f404216e926c218e4c0221d73930709421c700b38e2d01d72820761e436c20d749c008f2e09320d74ac002f2e09320d71d06c712c2005230b0f2d089d74cd7393001a4e86c128407bbf2e093d74ac000f2e093ed55e2d20001c000915be0ebd72c08142091709601d72c081c12e25210b1e30f20d74a121314009601fa4001fa44f828fa443058baf2e091ed44d0810141d718f405049d7fc8ca0040048307f453f2e08b8e14038307f45bf2e08c22d70a00216e01b3b0f2d090e2c85003cf1612f400c9ed54007230d72c08248e2d21f2e092d200ed44d0d2005113baf2d08f54503091319c01810140d721d70a00f2e08ee2c8ca0058cf16c9ed5493f2c08de20010935bdb31e1d74cd00051800000003fffff888383838383838383838383838383838383838383838383838383838383838383a0";

fn v5r1() -> Vec<u8> {
    hex::decode(V5R1).unwrap()
}

#[test]
fn a_key_has_the_addresses_that_wallets_give_it() {
    assert_eq!(usual_wallets(&KEY).map_hex(), ADDRESSES);
    let (wallet, state) = Wallet::v3r2(KEY);
    assert_eq!(hex::encode(wallet.hash), ADDRESSES[1]);
    assert_eq!(Wallet::of_state_init(&state), Ok(wallet));
    let wallet = Wallet::of_state_init(&v5r1()).unwrap();
    assert_eq!((wallet.key, hex::encode(wallet.hash).as_str()), (KEY, ADDRESSES[3]));
}

trait Hexed {
    fn map_hex(&self) -> Vec<String>;
}

impl Hexed for Vec<[u8; 32]> {
    fn map_hex(&self) -> Vec<String> {
        self.iter().map(hex::encode).collect()
    }
}

#[test]
fn no_other_bytes_are_the_same_wallet() {
    for state in [v5r1(), Wallet::v3r2(KEY).1] {
        let right = Wallet::of_state_init(&state).unwrap();
        for at in 0..state.len() {
            for bit in 0..8 {
                let mut other = state.clone();
                other[at] ^= 1 << bit;
                let read = Wallet::of_state_init(&other);
                assert!(read.is_err() || read.is_ok_and(|read| read.hash != right.hash), "{at}");
            }
        }
        for end in 0..state.len() {
            assert_eq!(Wallet::of_state_init(&state[..end]), Err(StateError::Malformed));
        }
        let longer = [&state[..], &[0]].concat();
        assert_eq!(Wallet::of_state_init(&longer), Err(StateError::Malformed));
    }
}

#[test]
fn the_key_of_an_unknown_or_changed_wallet_is_not_believed() {
    let (_, state) = Wallet::v3r2(KEY);
    let mut other = state.clone();
    other[20] ^= 1;
    assert_eq!(Wallet::of_state_init(&other), Err(StateError::UnknownCode));
    // A v5 wallet that takes no signatures: its data's first bit is not set.
    let mut closed = v5r1();
    let place = closed.len() - 41;
    assert_eq!(closed[place], 0x80);
    closed[place] = 0;
    assert_eq!(Wallet::of_state_init(&closed), Err(StateError::Data));
    // One with extensions, which may do what the key may.
    let mut extended = v5r1();
    *extended.last_mut().unwrap() = 0xe0;
    assert_eq!(Wallet::of_state_init(&extended), Err(StateError::Data));
}

#[test]
fn bags_are_read_in_one_way() {
    let (_, state) = Wallet::v3r2(KEY);
    let changed = |at: usize, byte: u8| {
        let mut other = state.clone();
        other[at] = byte;
        Wallet::of_state_init(&other)
    };
    let malformed = Err(StateError::Malformed);
    for (at, byte, why) in [
        (4, 0x09, "a reserved flag"),
        (4, 0x21, "cache bits"),
        (4, 0x03, "wide references"),
        (5, 0, "no offsets"),
        (6, 2, "fewer cells"),
        (6, 4, "more cells"),
        (7, 2, "two roots"),
        (8, 1, "an absent cell"),
        (10, 1, "another root"),
        (11, 0x0a, "an exotic cell"),
        (11, 0x22, "a level"),
        (14, 0, "a reference to itself"),
        (14, 3, "a reference to nothing"),
    ] {
        assert_eq!(changed(at, byte), malformed, "{why}");
    }
    // With an index, and with a checksum, as other libraries write it.
    let with_index = [&state[..4], &[0x81], &state[5..11], &[5, 118, 200], &state[11..]].concat();
    assert!(Wallet::of_state_init(&with_index).is_ok());
    let checked = [&state[..4], &[0x41], &state[5..]].concat();
    let sum = crate::chain::checksum::crc32c(&checked).to_le_bytes();
    assert!(Wallet::of_state_init(&[&checked[..], &sum].concat()).is_ok());
    assert_eq!(Wallet::of_state_init(&checked), malformed);
    assert_eq!(Wallet::of_state_init(&[&checked[..], &[0; 4]].concat()), malformed);
    assert_eq!(Wallet::of_state_init(&vec![0; super::super::ton_cell::MAX_BAG + 1]), malformed);
}

#[test]
fn addresses_of_either_form_are_one() {
    let hash: [u8; 32] = hex::decode(ADDRESSES[1]).unwrap().try_into().unwrap();
    let raw = address(&hash);
    assert_eq!(parse_address(&raw), Some(hash));
    for friendly in [
        "UQDSC4qjjpx3kCwTDIdgvb5AfagQAm260bD3QORwpV83X1V0",
        "EQDSC4qjjpx3kCwTDIdgvb5AfagQAm260bD3QORwpV83Xwix",
    ] {
        assert_eq!(parse_address(friendly), Some(hash), "{friendly}");
    }
    let underscored = "UQCQ1LbxOAZaBNioBH64kszbC41MwpjA0r%5FijIiqIE9hlf-z";
    assert_eq!(parse_address(underscored).map(hex::encode).as_deref(), Some(ADDRESSES[2]));
    for broken in [
        "",
        "0%3A",
        &raw[..raw.len() - 1],
        &format!("{raw}00"),
        &raw.replace("0%3A", "1%3A"),
        "UQDSC4qjjpx3kCwTDIdgvb5AfagQAm260bD3QORwpV83X1V1",
        "0QDSC4qjjpx3kCwTDIdgvb5AfagQAm260bD3QORwpV83X-7-",
    ] {
        assert_eq!(parse_address(broken), None, "{broken}");
    }
}
