// Changes to bytes that look random and are the same in every run, so that a failure can be repeated.

import bs58 from 'bs58'

/** A fixed sequence of whole numbers, each from 0 to below the bound that it is asked with. */
export function generator(seed) {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** One to four bytes of it replaced, left out or added. */
export function mutated(bytes, random) {
  let result = [...bytes]
  for (let changes = 1 + random(4); changes > 0; changes -= 1) {
    const [place, byte, kind] = [random(result.length), random(256), random(3)]
    if (kind === 0) result[place] = byte
    else result.splice(place, kind === 1 ? 1 : 0, ...(kind === 1 ? [] : [byte]))
  }
  return Buffer.from(result)
}

/** A wallet's signature with one bit of one byte of the signature itself changed, in the encoding that it came in. */
export function flipped(format, signature) {
  if (signature.startsWith('{')) return JSON.stringify(within(JSON.parse(signature)))
  if (signature.startsWith('-----')) {
    const [first, ...body] = signature.trimEnd().split('\n')
    const last = body.pop()
    return `${[first, flip(format, Buffer.from(body.join(''), 'base64')).toString('base64'), last].join('\n')}\n`
  }
  if (/^0x[0-9a-f]+$/i.test(signature)) return `0x${flip(format, Buffer.from(signature.slice(2), 'hex')).toString('hex')}`
  if (/^[0-9a-f]{128,}$/i.test(signature)) return flip(format, Buffer.from(signature, 'hex')).toString('hex')
  if (format === 'siws') return bs58.encode(flip(format, Buffer.from(bs58.decode(signature))))
  const prefix = signature.startsWith('smp') ? 'smp' : ''
  const encoding = (signature.length - prefix.length) % 4 === 0 ? 'base64' : 'base64url'
  return prefix + flip(format, Buffer.from(signature.slice(prefix.length), 'base64')).toString(encoding)
}

/** The object that a wallet returned, whose `signature`, or Nostr's `sig`, stands in it somewhere. */
function within(object) {
  if (object.proof) return { ...object, proof: within(object.proof) }
  const name = 'sig' in object ? 'sig' : 'signature'
  return { ...object, [name]: flipped(name, object[name]) }
}

/** Within S of every signature here: those of `sep10` and `ssh` stand at the end, the others are at the beginning. */
function flip(format, bytes) {
  const place = ['sep10', 'ssh'].includes(format) ? bytes.length - 20 : 45
  bytes[place] ^= 1
  return bytes
}
