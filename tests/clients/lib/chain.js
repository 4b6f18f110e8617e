// A chain of one's own: anvil, the contracts of contracts/Accounts.sol compiled for it, and nodes in front of it that fail
// in every way that a node can.

import solc from 'solc'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { createPublicClient, createWalletClient, getAddress, http } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { freePort } from './binary.js'

const START_LIMIT_MS = 30_000
const FUNDED = 'test test test test test test test test test test test junk'

/** Starts anvil; gives clients for it and somebody with ether. */
export async function startChain(chainId = 31337) {
  const port = await freePort()
  const anvil = spawn(anvilBinary(), ['--port', String(port), '--chain-id', String(chainId), '--silent'], { stdio: 'ignore' })
  const ended = new Promise((resolve) => anvil.once('close', resolve))
  const url = `http://127.0.0.1:${port}`
  const chain = { ...foundry, id: chainId, rpcUrls: { default: { http: [url] } } }
  const reader = createPublicClient({ chain, transport: http(url), pollingInterval: 20 })
  const limit = Date.now() + START_LIMIT_MS
  while ((await reader.getChainId().catch(() => 0)) !== chainId) {
    if (anvil.exitCode !== null || Date.now() > limit) throw new Error('anvil does not answer')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  // Before its first block anvil tells calls a time of 1, and a node that is so far behind is not believed.
  await reader.request({ method: 'evm_mine' })
  const wallet = (account) => createWalletClient({ account, chain, transport: http(url) })
  const rich = wallet(mnemonicToAccount(FUNDED))
  const made = async (hash) => {
    const receipt = await reader.waitForTransactionReceipt({ hash })
    if (receipt.status !== 'success') throw new Error('a transaction failed')
    return receipt
  }
  return {
    url,
    id: `eip155:${chainId}`,
    reader,
    rich,
    wallet,
    made,
    deploy: async ({ abi, bytecode }, args = []) =>
      getAddress((await made(await rich.deployContract({ abi, bytecode, args }))).contractAddress),
    account: (address) => `eip155:${chainId}:${address}`,
    stop: () => {
      anvil.kill('SIGTERM')
      return ended
    },
  }
}

// The package's own launcher would stand between us and the process that is to be ended.
function anvilBinary() {
  const platform = { linux: 'linux', darwin: 'darwin', win32: 'win32' }[process.platform]
  const machine = { x64: 'amd64', arm64: 'arm64' }[process.arch]
  const require = createRequire(import.meta.url)
  return require.resolve(`@foundry-rs/anvil-${platform}-${machine}/bin/anvil${platform === 'win32' ? '.exe' : ''}`)
}

/** The contracts by name, each `{ abi, bytecode }`. */
export function contracts() {
  const content = readFileSync(new URL('../contracts/Accounts.sol', import.meta.url), 'utf8')
  const compiled = compile('Solidity', 'Accounts.sol', content)
  return Object.fromEntries(
    Object.entries(compiled).map(([name, { abi, evm }]) => [name, { abi, bytecode: `0x${evm.bytecode.object}` }]),
  )
}

/** What the pinned compiler makes of a source; a warning is an error. */
export function compile(language, file, content) {
  const settings = {
    evmVersion: 'london',
    optimizer: { enabled: true, details: { yul: true } },
    outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
  }
  const output = JSON.parse(solc.compile(JSON.stringify({ language, sources: { [file]: { content } }, settings })))
  if (output.errors?.length) throw new Error(output.errors.map((error) => error.formattedMessage).join('\n'))
  return output.contracts[file]
}

/**
 * A node that passes what it is asked on to `upstream`, until its `way` is set to something else; `asked` counts requests.
 * Ways that give an answer of their own are functions of the request and of the right answer.
 */
export async function startNode(upstream) {
  const node = { way: 'right', asked: 0 }
  const server = createServer(async (incoming, outgoing) => {
    node.asked += 1
    const chunks = []
    for await (const chunk of incoming) chunks.push(chunk)
    const body = Buffer.concat(chunks).toString()
    if (node.way === 'down') return incoming.socket.destroy()
    if (node.way === 'silent') return undefined
    const answer = await right(upstream, body)
    if (node.way === 'cut') {
      outgoing.writeHead(200, { 'content-length': '1000' })
      outgoing.write(JSON.stringify(answer).slice(0, 20))
      return setImmediate(() => incoming.socket.destroy())
    }
    if (node.way === 'endless') {
      outgoing.writeHead(200)
      const more = () => {
        while (outgoing.writable && outgoing.write(' '.repeat(65_536)));
      }
      outgoing.on('drain', more).on('error', () => {})
      return more()
    }
    const { status = 200, headers = {}, text } = node.way === 'right' ? { text: answer } : node.way(answer, JSON.parse(body))
    outgoing.writeHead(status, { 'content-type': 'application/json', ...headers })
    return outgoing.end(typeof text === 'string' ? text : JSON.stringify(text))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  node.url = `http://127.0.0.1:${server.address().port}/v2/a-key-of-our-own`
  node.stop = () => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  }
  return node
}

async function right(upstream, body) {
  if (typeof upstream === 'function') return upstream(JSON.parse(body))
  const answer = await fetch(upstream, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  return answer.json()
}
