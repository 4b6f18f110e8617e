// Finds the binaries under test and runs them as separate processes, as an operator would: nothing is
// mocked, nothing is shared but the network. A missing binary is an error with the command that builds it,
// never a skipped test.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

const TARGET = fileURLToPath(new URL('../../../target/', import.meta.url))
const START_LIMIT_MS = 20_000
const STDIO = ['ignore', 'pipe', 'pipe']
const STOP_LIMIT_MS = 30_000

export function countersignBinary() {
  return locate('COUNTERSIGN_BIN', 'countersign', 'cargo build --release --bin countersign')
}

export function escrowBinary() {
  return locate('ESCROW_BIN', 'examples/escrow_api', 'cargo build --release --example escrow_api')
}

function locate(variable, name, build) {
  const given = process.env[variable]
  const places = given ? [given] : [`${TARGET}release/${name}`, `${TARGET}debug/${name}`]
  const found = places.find((place) => existsSync(place))
  if (!found) throw new Error(`no ${name} at ${places.join(' or ')}; build it with: ${build}`)
  return found
}

/** A port that was free a moment ago, for what must know its own address before it binds. */
export async function freePort() {
  const probe = createServer()
  await new Promise((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve))
  const { port } = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return port
}

/** Starts a binary and resolves once it printed `listening on http://…`. */
export async function start(binary, args, extraEnvironment = {}) {
  const running = new Running(spawn(binary, args, { env: environment(extraEnvironment), stdio: STDIO }))
  try {
    running.url = await running.listening()
  } catch (error) {
    await running.stop('SIGKILL')
    throw error
  }
  return running
}

/** Runs a binary to its end, for commands and for starts that must fail. */
export async function run(binary, args, { limitMs = START_LIMIT_MS } = {}) {
  const running = new Running(spawn(binary, args, { env: environment(), stdio: STDIO }))
  const timer = setTimeout(() => running.process.kill('SIGKILL'), limitMs)
  const exit = await running.exited
  clearTimeout(timer)
  return { ...exit, output: running.output }
}

// The server reads COUNTERSIGN_… as configuration, so the variables that point at binaries stay behind.
function environment(extra = {}) {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('COUNTERSIGN_'))
  return { ...Object.fromEntries(kept), ...extra }
}

class Running {
  constructor(process) {
    this.process = process
    this.output = ''
    for (const stream of [process.stdout, process.stderr]) {
      stream.setEncoding('utf8')
      stream.on('data', (text) => (this.output += text))
    }
    this.exited = new Promise((resolve, reject) => {
      process.once('error', reject)
      process.once('close', (code, signal) => resolve({ code, signal }))
    })
    this.exited.catch(() => {})
  }

  listening() {
    return new Promise((resolve, reject) => {
      const look = () => {
        const line = /^listening on (http:\/\/\S+?)\/?\s*$/m.exec(this.output)
        if (line) settle(() => resolve(line[1]))
      }
      const fail = (why) => settle(() => reject(new Error(`${why}; it printed:\n${this.output}`)))
      const timer = setTimeout(() => fail(`not listening after ${START_LIMIT_MS} ms`), START_LIMIT_MS)
      const settle = (then) => {
        clearTimeout(timer)
        this.process.stdout.off('data', look)
        this.process.stderr.off('data', look)
        then()
      }
      this.process.stdout.on('data', look)
      this.process.stderr.on('data', look)
      this.exited.then(({ code, signal }) => fail(`ended with ${code ?? signal} before it listened`), fail)
    })
  }

  /** Ends the process; a second call, or one after its end, only reports how it ended. */
  async stop(signal = 'SIGTERM') {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal)
    const timer = setTimeout(() => this.process.kill('SIGKILL'), STOP_LIMIT_MS)
    const exit = await this.exited
    clearTimeout(timer)
    return exit
  }
}
