import { readFileSync } from 'node:fs'
import { logRecordHeadBytes, makeSpace, type Space, spaceOf, TxnHead, zxid } from '@corral/protocol'
import { describe, expect, test } from 'vitest'
import { type Found, hasMissingSector, isLogHeader, RecordReader } from './record-reader.ts'

const basic = golden('standalone-basic')
/** From storage tests of the Java server: where each record of the base of the damaged directories begins. */
const baseOffsets = [16, 77, 177, 250, 323, 396, 469, 542, 615, 688]

function golden(directory: string): Space {
  const at = new URL(
    `../../../../test/golden/data-dirs/zookeeper-3.8.0/${directory}/data/version-2/log.1`,
    import.meta.url,
  )
  return spaceOf(new Uint8Array(readFileSync(at)))
}

function reader(): RecordReader {
  return new RecordReader({ maxPayloadBytes: 2 * 0xfffff })
}

/** Every record from the header on, and what stands behind the last. */
function readAll(space: Space): {
  readonly zxids: bigint[]
  readonly offsets: number[]
  readonly found: Found
} {
  const records = reader()
  const zxids: bigint[] = []
  const offsets: number[] = []
  for (let at = 16; ; at = records.end) {
    offsets.push(at)
    const found = records.read(space, at, space.bytes.length, true)
    if (found !== 'record') return { zxids, offsets, found }
    zxids.push(zxid((BigInt(records.zxidHigh) << 32n) | BigInt(records.zxidLow >>> 0)))
  }
}

test('a log of the Java server is read to the zeros behind its last record', () => {
  const { zxids, offsets, found } = readAll(basic)

  expect(isLogHeader(basic, 0)).toBe(true)
  expect(zxids).toEqual(Array.from({ length: 0x25 }, (_, i) => BigInt(i + 1)))
  expect(offsets.at(-1)).toBe(4012)
  expect(found).toBe('zeros')
})

test('a window that ends anywhere inside a record asks for more, and never past its end', () => {
  const records = reader()
  for (const [i, from] of baseOffsets.slice(0, -1).entries()) {
    const base = golden('header-only-last-log')
    const end = baseOffsets[i + 1] as number
    for (let to = from; to < end; to++) {
      expect(records.read(base, from, to, false)).toBe('more')
      expect(records.end).toBeLessThanOrEqual(end)
      expect(records.end).toBeGreaterThan(to)
    }
    expect(records.read(base, from, end, false)).toBe('record')
  }
})

test('a file that ends anywhere inside a record is cut there', () => {
  const base = golden('header-only-last-log')
  for (let to = 615 + 5; to < 688; to++) expect(reader().read(base, 615, to, true)).toBe('cut')
  // The first four bytes are zeros with or without a record.
  for (let to = 615; to < 615 + 5; to++) expect(reader().read(base, 615, to, true)).toBe('zeros')
})

describe('damage is told apart', () => {
  test.each([
    { directory: 'torn-tail-cut', at: 615, found: 'cut' },
    { directory: 'torn-tail-cut-in-length', at: 615, found: 'cut' },
    { directory: 'torn-tail-zeroed', at: 615, found: 'no end mark' },
    { directory: 'torn-tail-no-eor', at: 615, found: 'no end mark' },
    { directory: 'torn-tail-zeroed-with-eor', at: 615, found: 'bad checksum' },
    { directory: 'torn-tail-bad-crc', at: 615, found: 'bad checksum' },
    { directory: 'torn-tail-bad-length', at: 615, found: 'bad length' },
    { directory: 'corrupt-middle-crc', at: 250, found: 'bad checksum' },
  ])('$directory: $found', ({ directory, at, found }) => {
    const end = readAll(golden(directory))

    expect(end).toMatchObject({ found })
    expect(end.offsets.at(-1)).toBe(at)
  })

  test('any flipped bit of a record is found', () => {
    const base = golden('header-only-last-log')
    for (let bit = 177 * 8; bit < 250 * 8; bit++) {
      base.bytes[bit >> 3] = (base.bytes[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(reader().read(base, 177, base.bytes.length, true)).not.toBe('record')
      base.bytes[bit >> 3] = (base.bytes[bit >> 3] as number) ^ (1 << (bit & 7))
    }
  })

  test('a payload that is no txn is no record to replay, though its checksum is right', () => {
    const base = golden('header-only-last-log')
    const records = reader()

    expect(records.read(base, 177, base.bytes.length, true)).toBe('record')
    expect(records.isTxn(base)).toBe(true)
    base.view.setInt32(177 + logRecordHeadBytes + TxnHead.type, 99)
    expect(records.isTxn(base)).toBe(false)
  })
})

test('the search finds the next whole record at any offset', () => {
  const damaged = golden('corrupt-middle-crc')
  for (let from = 251; from <= 323; from++) {
    expect(reader().search(damaged, from, damaged.bytes.length, true).at).toBe(323)
  }
  expect(reader().search(damaged, 616, damaged.bytes.length, true).at).toBe(-1)
})

test('the search says where to go on when a candidate reaches beyond the window', () => {
  const damaged = golden('corrupt-middle-crc')

  for (let to = 324; to < 396; to++) {
    const { at, resumeAt } = reader().search(damaged, 251, to, false)
    expect(at).toBe(-1)
    expect(resumeAt).toBeLessThanOrEqual(323)
  }
  expect(reader().search(damaged, 251, 396, false).at).toBe(323)
})

test('the search takes time by the bytes it looks at, whatever a client wrote there', () => {
  // Each twelve bytes look like the head of a record of 900 KB that ends where it should.
  const hostile = makeSpace(2 << 20)
  hostile.bytes.fill(0x42)
  for (let at = 0; at + 12 <= hostile.bytes.length; at += 12) hostile.view.setInt32(at, 0)
  for (let at = 8; at + 4 <= hostile.bytes.length; at += 12) hostile.view.setInt32(at, 900_000)
  // A checksum over each would be 80 GB: no time limit of a test is so long.
  expect(reader().search(hostile, 0, hostile.bytes.length, true).at).toBe(-1)
})

describe('a missing sector', () => {
  test.each([
    { what: 'a whole one', from: 500, to: 1600, zeros: [512, 1024], missing: true },
    { what: 'the rest of the first', from: 500, to: 1600, zeros: [500, 512], missing: true },
    {
      what: 'the last, in which the record ends',
      from: 500,
      to: 1026,
      zeros: [1024, 1536],
      missing: true,
    },
    {
      what: "the record's end in the last, which holds what follows",
      from: 500,
      to: 1026,
      zeros: [1024, 1026],
      missing: false,
    },
    { what: 'zeros inside one', from: 500, to: 1600, zeros: [600, 1000], missing: false },
    {
      what: "the rest of the first, of which five bytes are the record's",
      from: 507,
      to: 1600,
      zeros: [507, 512],
      missing: true,
    },
    {
      what: 'the few zeros with which a record begins',
      from: 508,
      to: 1600,
      zeros: [508, 512],
      missing: false,
    },
  ])('$what: $missing', ({ from, to, zeros, missing }) => {
    const bytes = new Uint8Array(2048).fill(1).fill(0, zeros[0], zeros[1])

    expect(hasMissingSector(bytes, { from, to, fileAt: 0 })).toBe(missing)
    // The same bytes in a window that begins elsewhere in the file.
    const window = bytes.subarray(100)
    expect(hasMissingSector(window, { from: from - 100, to: to - 100, fileAt: 100 })).toBe(missing)
  })
})
