"""Wallets of other chains, by the Python libraries of their own ecosystems.

Reads a request on each line of standard input and answers on a line of standard output, both JSON:
{"kind", "seed"} asks for the account of a key, and with "message" (and "payload", as the issuer sent it) for a signature.
"""

import base64
import hashlib
import json
import struct
import sys
import time


def ethereum(seed):
    from eth_account import Account
    from eth_account.messages import encode_defunct

    account = Account.from_key(seed)

    def sign(message, _payload):
        return {"signature": "0x" + account.sign_message(encode_defunct(text=message)).signature.hex()}

    return f"eip155:1:{account.address}", sign


def solana(seed):
    from solders.keypair import Keypair

    pair = Keypair.from_seed(seed)

    def sign(message, _payload):
        return {"signature": str(pair.sign_message(message.encode()))}

    return f"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:{pair.pubkey()}", sign


def tron(seed):
    from tronpy.keys import PrivateKey

    key = PrivateKey(seed)

    def sign(message, _payload):
        return {"signature": "0x" + key.sign_msg(message.encode()).hex()}

    return f"tron:0x2b6653dc:{key.public_key.to_base58check_address()}", sign


def bitcoin_transaction(kind, seed):
    from btclib import b32
    from btclib.key import PrvKeyData
    from btclib.script.taproot import output_pubkey
    from btclib_wallet import bip322

    key = PrvKeyData(int.from_bytes(seed, "big"))
    address = b32.p2wpkh(key.pub) if kind == "p2wpkh" else b32.p2tr(output_pubkey(key.pub)[0])

    def sign(message, _payload):
        return {"signature": bip322.sign(message.encode(), key, address).b64encode()}

    return f"bip122:000000000019d6689c085ae165831e93:{address}", sign


def bitcoin(kind, seed):
    import base58
    from bitcoin_message_tool.bmt import sign_message

    wif = base58.b58encode_check(b"\x80" + seed + b"\x01").decode()
    address, _, _ = sign_message(wif, kind, "", deterministic=True)

    def sign(message, _payload):
        return {"signature": sign_message(wif, kind, message, deterministic=True)[2]}

    return f"bip122:000000000019d6689c085ae165831e93:{address}", sign


def did_key(code, public):
    import base58

    return "did:key:z" + base58.b58encode(bytes(code) + public).decode()


def nostr(seed):
    from pynostr.event import Event
    from pynostr.key import PrivateKey

    key = PrivateKey(seed)

    def sign(_message, payload):
        event = Event(payload["content"], created_at=payload["created_at"], kind=payload["kind"], tags=payload["tags"])
        event.sign(key.hex())
        return {"signature": json.dumps(event.to_dict())}

    return did_key([0xE7, 0x01], b"\x02" + bytes.fromhex(key.public_key.hex())), sign


def coincurve_key(encode, seed):
    from coincurve import PrivateKey

    key = PrivateKey(seed)

    def sign(message, _payload):
        # As libsecp256k1 has it: r, s and the number of the key among those that it could be.
        return {"signature": encode(key.sign_recoverable(message.encode())[:64])}

    return did_key([0xE7, 0x01], key.public_key.format()), sign


def ecdsa_key(encode, seed):
    from ecdsa import SECP256k1, SigningKey
    from ecdsa.util import sigencode_string_canonize

    key = SigningKey.from_string(seed, SECP256k1, hashlib.sha256)

    def sign(message, _payload):
        return {"signature": encode(key.sign_deterministic(message.encode(), sigencode=sigencode_string_canonize))}

    return did_key([0xE7, 0x01], key.verifying_key.to_string("compressed")), sign


def ed25519_key(encode, seed):
    from nacl.signing import SigningKey

    key = SigningKey(seed)

    def sign(message, _payload):
        return {"signature": encode(key.sign(message.encode()).signature)}

    return did_key([0xED, 0x01], bytes(key.verify_key)), sign


def to_base64(data):
    return base64.b64encode(data).decode()


def to_base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def sui(flag, seed):
    from pysui.sui.sui_crypto import keypair_from_keystring

    pair = keypair_from_keystring(base64.b64encode(bytes([flag]) + seed).decode())
    key = pair.public_key.key_bytes
    address = "0x" + hashlib.blake2b(bytes([flag]) + key, digest_size=32).hexdigest()

    def sign(message, _payload):
        return {"signature": pair.sign_personal_message(base64.b64encode(message.encode()).decode())}

    return f"sui:35834a8a:{address}", sign


def aptos(kind, seed):
    from aptos_sdk import asymmetric_crypto_wrapper, ed25519, secp256k1_ecdsa
    from aptos_sdk.account_address import AccountAddress

    if kind == "aptos-ed25519":
        private = ed25519.PrivateKey.from_hex("ed25519-priv-0x" + seed.hex())
        public = private.public_key()
        raw = public.key.encode()
    else:
        private = secp256k1_ecdsa.PrivateKey.from_hex("secp256k1-priv-0x" + seed.hex())
        raw = b"\x04" + private.public_key().key.to_string()
        public = asymmetric_crypto_wrapper.PublicKey(private.public_key())
    address = "0x" + AccountAddress.from_key(public).address.hex()

    def sign(message, payload):
        if payload is None:
            data = hashlib.sha3_256(b"SIGN_IN_WITH_APTOS::").digest() + message.encode()
            return {"signature": "0x" + private.sign(data).data().hex(), "public_key": "0x" + raw.hex()}
        # What AIP-62 has a wallet make of the arguments of signMessage.
        full = "APTOS\n"
        if payload["address"]:
            full += f"address: {address}\n"
        if payload["application"]:
            full += f"application: http://{message.split(' ')[0]}\n"
        if payload["chainId"]:
            full += "chainId: 1\n"
        full += f"message: {payload['message']}\nnonce: {payload['nonce']}"
        signature = "0x" + private.sign(full.encode()).data().hex()
        return {
            "signature": json.dumps({"prefix": "APTOS", "fullMessage": full, "signature": signature}),
            "public_key": "0x" + raw.hex(),
        }

    return f"aptos:1:{address}", sign


def stellar(seed):
    from stellar_sdk import Keypair

    pair = Keypair.from_raw_ed25519_seed(seed)

    def sign(message, _payload):
        return {"signature": base64.b64encode(pair.sign_message(message)).decode()}

    return f"stellar:pubnet:{pair.public_key}", sign


def stellar_transaction(seed):
    from urllib.parse import urlsplit

    from stellar_sdk import Keypair
    from stellar_sdk.sep.stellar_web_authentication import read_challenge_transaction, verify_challenge_transaction_signed_by_client_master_key

    pair = Keypair.from_raw_ed25519_seed(seed)

    def sign(message, payload):
        # What a wallet of SEP-10 checks before it signs.
        uri = next(line for line in message.splitlines() if line.startswith("URI: "))[5:]
        expected = {
            "server_account_id": payload["server"],
            "home_domains": message.split(" ")[0],
            "web_auth_domain": urlsplit(uri).netloc,
            "network_passphrase": payload["network_passphrase"],
        }
        read = read_challenge_transaction(challenge_transaction=payload["transaction"], **expected)
        nonce = base64.b64encode(hashlib.sha384(message.encode()).digest())
        assert read.transaction.transaction.operations[0].data_value == nonce
        read.transaction.sign(pair)
        signed = read.transaction.to_xdr()
        if pair.public_key == read.client_account_id:
            verify_challenge_transaction_signed_by_client_master_key(challenge_transaction=signed, **expected)
        return {"signature": signed}

    return f"stellar:pubnet:{pair.public_key}", sign


def lightning(seed):
    import asyncio

    import httpx
    from lnurl import LnurlResponse, handle
    from lnurl.helpers import lnurlauth_derive_linking_key, lnurlauth_signature

    def sign(_message, payload):
        asked = asyncio.run(handle(payload["lnurl"]))
        linking, key = lnurlauth_derive_linking_key(seed.hex(), asked.callback.host)
        stated, sig = lnurlauth_signature(asked.k1, linking)
        # The library's own execute_login loses the query of the URL with httpx 0.28, which LUD-04 has kept.
        def call_back(signature):
            answered = httpx.get(f"{asked.callback}&sig={signature}&key={stated}")
            said = LnurlResponse.from_dict(answered.json())
            return {"status": answered.status_code, "ok": said.ok, "reason": getattr(said, "reason", None)}

        # One digit of S changed, which must not be held as the answer.
        spoilt = call_back(sig[:-20] + ("1" if sig[-20] == "0" else "0") + sig[-19:])
        return call_back(sig) | {"key": key.hex(), "spoilt": spoilt}

    return None, sign


def ton(version, seed):
    from types import SimpleNamespace

    import tonutils.contracts
    from ton_core import NetworkGlobalID, PrivateKey, sign_message

    private = PrivateKey(seed)
    public = private.public_key.as_bytes
    contract = getattr(tonutils.contracts, f"Wallet{version.upper()}")
    # The wallet only asks its client which network it is for.
    wallet = contract.from_private_key(SimpleNamespace(network=NetworkGlobalID.MAINNET), private)
    address = wallet.address.to_str(is_user_friendly=False)
    digest = bytes.fromhex(address.split(":")[1])

    def sign(message, payload):
        domain = payload["domain"].encode()
        timestamp = int(time.time())
        inner = b"ton-proof-item-v2/" + struct.pack(">i", 0) + digest
        inner += struct.pack("<I", len(domain)) + domain + struct.pack("<Q", timestamp) + payload["tonProof"].encode()
        signed = hashlib.sha256(b"\xff\xffton-connect" + hashlib.sha256(inner).digest()).digest()
        proof = {
            "timestamp": timestamp,
            "domain": {"lengthBytes": len(domain), "value": payload["domain"]},
            "payload": payload["tonProof"],
            "signature": base64.b64encode(sign_message(signed, private.keypair.as_bytes)).decode(),
            "state_init": base64.b64encode(wallet.state_init.serialize().to_boc()).decode(),
        }
        answer = {"address": address, "network": "-239", "public_key": public.hex(), "proof": proof}
        return {"signature": json.dumps(answer)}

    return f"tvm:-239:{address.replace(':', '%3A')}", sign


KINDS = {
    "ethereum": ethereum,
    "solana": solana,
    "tron": tron,
    "bitcoin-p2pkh": lambda seed: bitcoin("p2pkh", seed),
    "bitcoin-p2sh-p2wpkh": lambda seed: bitcoin("p2wpkh-p2sh", seed),
    "bitcoin-p2wpkh": lambda seed: bitcoin("p2wpkh", seed),
    "bitcoin-transaction-p2wpkh": lambda seed: bitcoin_transaction("p2wpkh", seed),
    "bitcoin-transaction-p2tr": lambda seed: bitcoin_transaction("p2tr", seed),
    "nostr": nostr,
    "coincurve-hex": lambda seed: coincurve_key(bytes.hex, seed),
    "coincurve-0x": lambda seed: coincurve_key(lambda data: "0x" + data.hex(), seed),
    "coincurve-base64url": lambda seed: coincurve_key(to_base64url, seed),
    "ecdsa-base64": lambda seed: ecdsa_key(to_base64, seed),
    "ed25519-base64url": lambda seed: ed25519_key(to_base64url, seed),
    "ed25519-0x": lambda seed: ed25519_key(lambda data: "0x" + data.hex(), seed),
    "sui-ed25519": lambda seed: sui(0, seed),
    "sui-secp256k1": lambda seed: sui(1, seed),
    "aptos-ed25519": lambda seed: aptos("aptos-ed25519", seed),
    "aptos-secp256k1": lambda seed: aptos("aptos-secp256k1", seed),
    "stellar": stellar,
    "stellar-transaction": stellar_transaction,
    "lightning": lightning,
    "ton-v3r1": lambda seed: ton("v3r1", seed),
    "ton-v3r2": lambda seed: ton("v3r2", seed),
    "ton-v4r2": lambda seed: ton("v4r2", seed),
    "ton-v5r1": lambda seed: ton("v5r1", seed),
}

for line in sys.stdin:
    request = json.loads(line)
    account, sign = KINDS[request["kind"]](bytes.fromhex(request["seed"]))
    answer = {"account": account}
    if "message" in request:
        answer |= sign(request["message"], request.get("payload"))
    print(json.dumps(answer), flush=True)
