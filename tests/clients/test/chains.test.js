// Wallets of other chains, each by a library of its own: Tron by OKX's, Cosmos by OKX's and by CosmJS, Nostr by rust-nostr,
// and an API-first wallet that signs SHA-256 with @noble/curves.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { makeSignDoc, Secp256k1Wallet, serializeSignDoc } from '@cosmjs/amino'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import okxCosmos from '@okxweb3/coin-cosmos'
import okxTron from '@okxweb3/coin-tron'
import nostr from '@rust-nostr/nostr-sdk'
import bs58 from 'bs58'
import { discover } from '../lib/client.js'
import { evenSecret, secp256k1Key } from '../lib/keys.js'
import { startDevelopment } from '../lib/server.js'
import { signsIn } from '../lib/signed.js'

let server, client
before(async () => {
  server = await startDevelopment()
  client = await discover(server.issuer)
})
after(() => server?.stop())

async function tronWallet() {
  const secret = secp256k1.utils.randomSecretKey()
  const hex = Buffer.from(secret).toString('hex')
  return {
    account: `tron:0x2b6653dc:${okxTron.addressFromPrivate(hex)}`,
    method: 'tip191',
    provenKey: await secp256k1Key(secret),
    sign: async ({ message }) => ({ signature: okxTron.signMessage('v2', message, hex) }),
  }
}

test('Tron: signMessageV2', async () => {
  const { challenge } = await signsIn(client, await tronWallet(), await tronWallet())
  assert.match(challenge.message, /your Tron account:\nT/)
})

async function cosmosWallet(prefix, chain) {
  const secret = secp256k1.utils.randomSecretKey()
  const wallet = await Secp256k1Wallet.fromKey(secret, prefix)
  const [{ address }] = await wallet.getAccounts()
  const [{ address: onHub }] = await (await Secp256k1Wallet.fromKey(secret)).getAccounts()
  return {
    account: `cosmos:${chain}:${address}`,
    sub: `did:pkh:cosmos:cosmoshub-4:${onHub}`,
    method: 'adr36',
    provenKey: await secp256k1Key(secret),
    sign: async ({ message, payload }) => {
      // What a wallet is asked to sign, written by CosmJS around the text, is the payload.
      const value = { signer: payload.msgs[0].value.signer, data: Buffer.from(message, 'utf8').toString('base64') }
      const doc = makeSignDoc([{ type: 'sign/MsgSignData', value }], { amount: [], gas: '0' }, '', '', 0, 0)
      assert.deepEqual(serializeSignDoc(payload), serializeSignDoc(doc))
      // A stranger signs for the account that was asked for, as far as its wallet lets it.
      const forOurs = { ...doc, msgs: [{ ...doc.msgs[0], value: { ...value } }] }
      const { signature } = await wallet.signAmino(address, forOurs)
      return { signature: signature.signature, public_key: signature.pub_key.value }
    },
  }
}

for (const [prefix, chain] of [
  ['cosmos', 'cosmoshub-4'],
  ['osmo', 'osmosis-1'],
]) {
  test(`Cosmos: the document of ADR-36 on ${chain}`, async () => {
    const wallets = [await cosmosWallet(prefix, chain), await cosmosWallet(prefix, chain)]
    await signsIn(client, ...wallets)
  })
}

async function okxCosmosWallet(Wallet, chain) {
  const secret = secp256k1.utils.randomSecretKey()
  const privateKey = Buffer.from(secret).toString('hex')
  const wallet = new Wallet()
  const { address, publicKey } = await wallet.getNewAddress({ privateKey })
  const onHub = await wallet.getAddressByPublicKey({ publicKey, hrp: 'cosmos' })
  return {
    account: `cosmos:${chain}:${address}`,
    sub: `did:pkh:cosmos:cosmoshub-4:${onHub}`,
    method: 'adr36',
    provenKey: await secp256k1Key(secret),
    sign: async ({ payload }) => ({
      signature: await wallet.signMessage({ privateKey, data: { type: 'amino', data: JSON.stringify(payload) } }),
      public_key: Buffer.from(secp256k1.getPublicKey(secret, true)).toString('base64'),
    }),
  }
}

for (const [name, Wallet, chain] of [
  ['Cosmos Hub', okxCosmos.AtomWallet, 'cosmoshub-4'],
  ['Osmosis', okxCosmos.OsmoWallet, 'osmosis-1'],
  ['Injective, by Keccak-256', okxCosmos.InjectiveWallet, 'injective-1'],
]) {
  test(`Cosmos: the payload, signed by OKX's library for ${name}`, async () => {
    await signsIn(client, await okxCosmosWallet(Wallet, chain), await okxCosmosWallet(Wallet, chain))
  })
}

async function nostrWallet() {
  nostr.loadWasmSync()
  const keys = nostr.Keys.generate()
  const point = secp256k1.Point.fromHex(`02${keys.publicKey.toHex()}`)
  const did = `did:key:z${bs58.encode(Uint8Array.from([0xe7, 0x01, ...point.toBytes(true)]))}`
  const secret = Buffer.from(keys.secretKey.toHex(), 'hex')
  return {
    account: did,
    sub: did,
    method: 'nostr',
    provenKey: await secp256k1Key(evenSecret(secret)),
    sign: async ({ payload }) => {
      const event = new nostr.EventBuilder(new nostr.Kind(payload.kind), payload.content)
        .tags(payload.tags.map((tag) => nostr.Tag.parse(tag)))
        .customCreatedAt(nostr.Timestamp.fromSecs(payload.created_at))
        .signWithKeys(keys)
      return { signature: event.asJson() }
    },
  }
}

test('Nostr: the event of NIP-98 with the text in it', async () => {
  const { challenge } = await signsIn(client, await nostrWallet(), await nostrWallet(), { format: 'nostr' })
  assert.equal(challenge.payload.content, challenge.message)
})

async function apiWallet(encode) {
  const secret = Uint8Array.from(randomBytes(32))
  const key = await secp256k1Key(secret)
  return {
    account: key.did,
    sub: key.did,
    method: 'sha256',
    provenKey: key,
    sign: async ({ message }) => ({ signature: encode(secp256k1.sign(Buffer.from(message, 'utf8'), secret)) }),
  }
}

for (const encoding of ['hex', 'base64']) {
  test(`an API-first wallet: ECDSA over SHA-256, in ${encoding}`, async () => {
    const encode = (bytes) => Buffer.from(bytes).toString(encoding)
    await signsIn(client, await apiWallet(encode), await apiWallet(encode), { format: 'sha256' })
  })
}
