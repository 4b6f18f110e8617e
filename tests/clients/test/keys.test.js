// Signing keys in a security module: SoftHSM signs, and `jose` verifies with nothing but the published key set.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { discover } from '../lib/client.js'
import { ed25519Key } from '../lib/keys.js'
import { startConfigured } from '../lib/server.js'

const RESOURCE = 'https://escrow.example'
const MODULE = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib64/softhsm/libsofthsm2.so', '/usr/lib64/pkcs11/libsofthsm2.so'].find(
  existsSync,
)

/** A new token in a folder of its own. */
async function token() {
  assert.ok(MODULE, 'install softhsm2')
  const folder = await mkdtemp(join(tmpdir(), 'countersign-softhsm-'))
  const conf = join(folder, 'softhsm2.conf')
  await mkdir(join(folder, 'tokens'))
  await writeFile(conf, `directories.tokendir = ${join(folder, 'tokens')}\n`)
  await writeFile(join(folder, 'pin'), '1234\n', { mode: 0o600 })
  const environment = { SOFTHSM2_CONF: conf }
  const args = ['--init-token', '--free', '--label', 'countersign', '--pin', '1234', '--so-pin', '5678']
  execFileSync('softhsm2-util', args, { env: { ...process.env, ...environment } })
  return { folder, environment, pin: join(folder, 'pin') }
}

for (const algorithm of ['EdDSA', 'ES256']) {
  test(`SoftHSM signs ${algorithm} tokens that jose verifies`, async () => {
    const { folder, environment, pin } = await token()
    let server
    try {
      server = await startConfigured(
        () => `[signing]
algorithm = "${algorithm}"
[keys]
custody = "pkcs11"
pkcs11_module = "${MODULE}"
pkcs11_token = "countersign"
pkcs11_pin_file = "${pin}"
[[resources]]
uri = "${RESOURCE}"
scopes = ["read"]
default_scopes = ["read"]`,
        { environment },
      )
      const client = await discover(server.issuer)
      const keys = createRemoteJWKSet(new URL(client.metadata.jwks_uri))
      for (let round = 0; round < 3; round += 1) {
        const agent = await ed25519Key()
        const answer = await client.assert(await client.assertion(agent, { resource: RESOURCE, scope: 'read' }), agent)
        assert.equal(answer.status, 200, JSON.stringify(answer.json))
        const { payload, protectedHeader } = await jwtVerify(answer.json.access_token, keys, {
          issuer: server.issuer,
          audience: RESOURCE,
          typ: 'at+jwt',
          algorithms: [algorithm],
        })
        assert.equal(payload.sub, agent.did)
        assert.equal(protectedHeader.kid, decodeProtectedHeader(answer.json.access_token).kid)
      }
    } finally {
      await server?.stop()
      await rm(folder, { recursive: true, force: true })
    }
  })
}
