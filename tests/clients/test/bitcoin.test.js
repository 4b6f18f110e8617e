// Bitcoin wallets: OKX's wallet library makes addresses and signatures, by BIP-322 and by the old signmessage; and BIP-322
// again with @scure/btc-signer, for the address within P2SH too, which OKX's does not sign for.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { hexToBytes } from '@noble/curves/utils.js'
import okx from '@okxweb3/coin-bitcoin'
import { outputSecret, payment, signSimple } from '../lib/bip322.js'
import { discover } from '../lib/client.js'
import { refused } from '../lib/expect.js'
import { secp256k1Key, sessionKey } from '../lib/keys.js'
import { startDevelopment } from '../lib/server.js'
import { RESOURCE, signsIn } from '../lib/signed.js'

const MAINNET = 'bip122:000000000019d6689c085ae165831e93'
const [SIGNMESSAGE, BIP322] = [0, 1]

let server, client
before(async () => {
  server = await startDevelopment()
  client = await discover(server.issuer)
})
after(() => server?.stop())

/** An address of that kind, with its signer for one of the two ways. */
async function bitcoinWallet(addressType, type) {
  const wallet = new okx.BtcWallet()
  const privateKey = await wallet.getRandomPrivateKey()
  const { address, compressedPublicKey } = await wallet.getNewAddress({ privateKey, addressType })
  const secret = hexToBytes(okx.privateKeyFromWIF(privateKey))
  assert.equal(Buffer.from(secp256k1.getPublicKey(secret, true)).toString('hex'), compressedPublicKey)
  return {
    account: `${MAINNET}:${address}`,
    method: type === BIP322 ? 'bip322' : 'bip137',
    provenKey: await secp256k1Key(type === BIP322 && addressType === 'segwit_taproot' ? outputSecret(secret) : secret),
    sign: async ({ message }) => ({
      signature: await wallet.signMessage({ privateKey, data: { type, address, message } }),
    }),
  }
}

for (const kind of ['segwit_native', 'segwit_taproot']) {
  test(`BIP-322 by a ${kind} address`, async () => {
    const [wallet, stranger] = [await bitcoinWallet(kind, BIP322), await bitcoinWallet(kind, BIP322)]
    const { challenge } = await signsIn(client, wallet, stranger)
    assert.equal(challenge.format, 'bip322')
    assert.match(challenge.message, /^localhost:5173 wants you to sign in with your Bitcoin account:\n/)
    // The prefix that the specification has put before it since.
    const prefixed = { ...wallet, sign: async (it) => ({ signature: `smp${(await wallet.sign(it)).signature}` }) }
    await signsIn(client, prefixed, stranger)
  })
}

for (const kind of ['p2wpkh', 'p2sh-p2wpkh', 'p2tr']) {
  test(`BIP-322 by btc-signer for ${kind}`, async () => {
    const make = async () => {
      const secret = secp256k1.utils.randomSecretKey()
      const spent = payment(kind, secret)
      return {
        account: `${MAINNET}:${spent.address}`,
        method: 'bip322',
        provenKey: await secp256k1Key(kind === 'p2tr' ? outputSecret(secret) : secret),
        sign: async ({ message }) => ({ signature: signSimple(message, secret, spent) }),
      }
    }
    await signsIn(client, await make(), await make())
  })
}

test('signmessage by a P2PKH address, whose default it is', async () => {
  const [wallet, stranger] = [await bitcoinWallet('Legacy', SIGNMESSAGE), await bitcoinWallet('Legacy', SIGNMESSAGE)]
  const { challenge } = await signsIn(client, wallet, stranger)
  assert.equal(challenge.format, 'bip137')
})

for (const kind of ['segwit_native', 'segwit_nested', 'segwit_taproot']) {
  test(`signmessage by a ${kind} address, under the header of P2PKH as this wallet writes it`, async () => {
    const [wallet, stranger] = [await bitcoinWallet(kind, SIGNMESSAGE), await bitcoinWallet(kind, SIGNMESSAGE)]
    await signsIn(client, wallet, stranger, { format: 'bip137' })
  })
}

test('a challenge of one format is not redeemed with a signature of the other', async () => {
  const session = await sessionKey()
  const wallet = await bitcoinWallet('segwit_native', SIGNMESSAGE)
  const { message } = await client.challenge({
    account: wallet.account,
    dpop_jkt: session.thumbprint,
    resource: RESOURCE,
    format: 'bip322',
  })
  const answer = await client.redeem({ message, ...(await wallet.sign({ message })) }, session)
  refused(answer, { error: 'invalid_grant', reason: 'message_mismatch' })
})
