import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { asideBytes, firstDamage, keptHeader, planRepair } from './repair.ts'

const maxPayloadBytes = 2 * 0xfffff

function golden(directory: string): { readonly name: string; readonly bytes: Uint8Array } {
  const at = new URL(
    `../../../../test/golden/data-dirs/zookeeper-3.8.0/${directory}/data/version-2/log.1`,
    import.meta.url,
  )
  return { name: 'log.1', bytes: new Uint8Array(readFileSync(at)) }
}

describe('the first damaged place', () => {
  test.each([
    { directory: 'corrupt-middle-crc', at: 250, found: 'bad checksum', lastGood: 3n },
    { directory: 'torn-tail-bad-crc', at: 615, found: 'bad checksum', lastGood: 8n },
    { directory: 'torn-tail-bad-length', at: 615, found: 'bad length', lastGood: 8n },
    { directory: 'torn-tail-zeroed-with-eor', at: 615, found: 'bad checksum', lastGood: 8n },
    { directory: 'torn-tail-cut', at: 615, found: 'cut', lastGood: 8n },
    { directory: 'torn-tail-no-eor', at: 615, found: 'no end mark', lastGood: 8n },
  ])('of $directory', ({ directory, at, found, lastGood }) => {
    expect(firstDamage([golden(directory)], maxPayloadBytes)).toEqual({ name: 'log.1', at, found, lastGood })
  })

  test('is none in a whole log', () => {
    expect(firstDamage([golden('standalone-basic')], maxPayloadBytes)).toBeUndefined()
  })

  test('is none where the next file goes on with the torn zxid', () => {
    const torn = golden('torn-tail-no-eor')
    const whole = golden('header-only-last-log').bytes
    const next = {
      name: 'log.9',
      bytes: new Uint8Array([...whole.subarray(0, 16), ...whole.subarray(615, 688)]),
    }

    expect(firstDamage([torn, next], maxPayloadBytes)).toBeUndefined()
    expect(firstDamage([torn], maxPayloadBytes)?.at).toBe(615)
  })

  test('is the end of a log that was durable further', () => {
    const log = golden('standalone-basic')
    new DataView(log.bytes.buffer).setBigUint64(8, 5000n)

    const damage = firstDamage([log], maxPayloadBytes)

    expect(damage).toMatchObject({ at: 4012, found: 'a lost end' })
    if (damage === undefined) return
    const cut = log.bytes.slice(0, damage.at)
    cut.set(keptHeader(damage, log.bytes))
    expect(firstDamage([{ ...log, bytes: cut }], maxPayloadBytes)).toBeUndefined()
  })

  test('is the gap where a file is missing', () => {
    const first = golden('torn-tail-cut')
    const gap = { name: 'log.64', bytes: golden('header-only-last-log').bytes.slice() }
    new DataView(gap.bytes.buffer).setInt32(16 + 12 + 16, 0x64)

    expect(firstDamage([first, gap], maxPayloadBytes)).toMatchObject({ name: 'log.1', at: 615 })
  })
})

test('a repair cuts at the damage, keeps the rest as a log under another name and sets later logs aside', () => {
  const log = golden('corrupt-middle-crc')
  const damage = firstDamage([log], maxPayloadBytes)
  expect(damage).toBeDefined()
  if (damage === undefined) return
  const entries = ['log.1', 'log.a', 'log.14', 'snapshot.0', 'damaged-log.1'].map(name => ({
    name,
    sizeBytes: 1,
  }))

  const plan = planRepair(damage, entries)

  expect(plan).toEqual({
    damage,
    keepAside: 'damaged-log.1-2',
    isWholeFile: false,
    setAside: [
      { from: 'log.14', to: 'damaged-log.14' },
      { from: 'log.a', to: 'damaged-log.a' },
    ],
  })
  const aside = asideBytes(damage, log.bytes)
  expect(aside.length).toBe(16 + log.bytes.length - 250)
  expect([...aside.subarray(0, 4)]).toEqual([0x5a, 0x4b, 0x4c, 0x47])
  expect(aside.subarray(16)).toEqual(log.bytes.subarray(250))
})
