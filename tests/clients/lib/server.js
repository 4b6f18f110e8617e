// Starts Countersign in its two modes: development (no file, loopback) and configured (a TOML file in a
// folder of its own). The caller stops what it started.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { countersignBinary, freePort, run, start } from './binary.js'

/** Development mode: the issuer is the printed address. */
export async function startDevelopment() {
  const server = await start(countersignBinary(), ['serve', '--listen', '127.0.0.1:0'])
  server.issuer = server.url
  return server
}

/**
 * Configured mode. `write` gets the origin the server will have and gives the TOML text after `issuer`,
 * `listen` and `operations_listen`; `path` is the issuer's path, empty for most; `environment` is the server's, besides.
 */
export async function startConfigured(write, { path = '', environment = {} } = {}) {
  const [port, operationsPort] = [await freePort(), await freePort()]
  const origin = `http://127.0.0.1:${port}`
  const top = [
    `issuer = "${origin}${path}"`,
    `listen = "127.0.0.1:${port}"`,
    `operations_listen = "127.0.0.1:${operationsPort}"`,
  ]
  const written = write(origin)
  // Unless the test says where they lie, signing keys end with the server.
  if (!/^\[?keys/m.test(written)) top.push('keys.custody = "memory"')
  const { file, folder, remove } = await configurationFile(`${top.join('\n')}\n${written}\n`)
  const data = join(folder, 'data')
  const args = ['serve', '--config', file, '--data-dir', data]
  const server = await start(countersignBinary(), args, environment).catch(async (error) => {
    await remove()
    throw error
  })
  // It writes there for as long as it runs.
  server.exited.finally(remove).catch(() => {})
  server.issuer = origin + path
  server.operations = `http://127.0.0.1:${operationsPort}`
  return server
}

/** `countersign check` over a text. */
export async function check(text) {
  const { file, remove } = await configurationFile(text)
  try {
    return await run(countersignBinary(), ['check', file])
  } finally {
    await remove()
  }
}

async function configurationFile(text) {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-'))
  const file = join(folder, 'countersign.toml')
  await writeFile(file, text)
  return { file, folder, remove: () => rm(folder, { recursive: true, force: true }) }
}
