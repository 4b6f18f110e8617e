// Wallets in Python: one process that signs, asked over its standard input, a line for each request.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('../python/', import.meta.url))
const INSTALL = 'python3 -m venv python/.venv && python/.venv/bin/pip install -r python/requirements.txt'

function interpreter() {
  const given = process.env.COUNTERSIGN_PYTHON
  const found = given ?? `${FOLDER}.venv/bin/python`
  if (!existsSync(found)) throw new Error(`no ${found}; make it in tests/clients with: ${INSTALL}`)
  return found
}

/** Starts the process; `ask` gives its answer to one request, `stop` ends it. */
export function startPython() {
  const process = spawn(interpreter(), [`${FOLDER}wallets.py`], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]()
  return {
    async ask(request) {
      process.stdin.write(`${JSON.stringify(request)}\n`)
      const { value, done } = await lines.next()
      if (done) throw new Error(`the wallets in Python ended over ${request.kind}`)
      return JSON.parse(value)
    },
    stop: () => process.stdin.end(),
  }
}
