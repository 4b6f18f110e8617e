// Changes to bytes that look random and are the same in every run, so that a failure can be repeated.

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
