/** Everything that reads bytes or text of others without a server around it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Random } from '@corral/core'
import {
  DecodeError,
  decodeTxn,
  decodeUtf8,
  encodeTxn,
  isLegalPath,
  OpCode,
  pathProblem,
  Reader,
  RequestView,
  readConnectRequest,
  readConnectResponse,
  readReplyBody,
  readRequestFrame,
  readWatcherEvent,
  Writer,
  writeConnectRequest,
  writeConnectResponse,
  writeReplyBody,
  writeRequestFrame,
  writeWatcherEvent,
} from '@corral/protocol'
// The package's public names are for its users; what reads hostile input inside it is tested where it stands.
import { loadConfig } from '../../packages/server/src/config/zoo-cfg.ts'
import { PlainReader } from '../../packages/server/src/io/disk-codecs.ts'
import {
  compressBlock,
  decompressBlock,
  largestCompressed,
  largestSnappyBlockBytes,
  SnappyError,
} from '../../packages/server/src/io/snappy.ts'
import { dataDir } from './data-dirs.ts'
import { mutate, pick } from './mutate.ts'
import { must, stopwatch, type Target, timed, type Verdict } from './target.ts'

type Codec = { readonly read: (r: Reader) => unknown; readonly write: (w: Writer, value: never) => void }

const opsWithReplyBody: readonly number[] = [
  OpCode.Create,
  OpCode.Create2,
  OpCode.Exists,
  OpCode.GetData,
  OpCode.GetAcl,
  OpCode.GetChildren,
  OpCode.GetChildren2,
  OpCode.GetEphemerals,
  OpCode.GetAllChildrenNumber,
  OpCode.WhoAmI,
  OpCode.AddWatch,
  OpCode.Multi,
  OpCode.Sasl,
]

/** Each record by its reader and writer. */
const codecs: Readonly<Record<string, Codec>> = {
  connectRequest: { read: readConnectRequest, write: writeConnectRequest },
  connectResponse: { read: readConnectResponse, write: writeConnectResponse },
  event: { read: readWatcherEvent, write: writeWatcherEvent },
  ...Object.fromEntries(
    opsWithReplyBody.map(op => [
      `reply ${op}`,
      { read: (r: Reader) => readReplyBody(r, op), write: writeReplyBody },
    ]),
  ),
}

export const decoderTarget: Target = {
  name: 'decoders',
  seeds: () => [...capturedFrames(), ...logPayloads()],
  make: (random, known) => mutate(random, pick(random, known), known, 4096),
  run: input => {
    let accepted = 0
    const { ms } = timed(() => {
      accepted += mustRoundTrip(input, decodeTxn, encodeTxn) ? 1 : 0
      accepted += mustRoundTrip(input, readRequestFrame, encodeRequest) ? 1 : 0
      for (const { read, write } of Object.values(codecs)) {
        const encode = (value: unknown): Uint8Array => {
          const w = new Writer()
          write(w, value as never)
          return w.written()
        }
        accepted += mustRoundTrip(input, bytes => read(new Reader(bytes)), encode) ? 1 : 0
      }
      mustAgreeInPlace(input)
      must(
        isLegalPath(input, 0, input.length) === (pathProblem(decodeUtf8(input)) === undefined),
        'bytes and string have the same verdict as a path',
      )
    })
    return { slowestStepMs: ms, outcome: accepted > 0 ? 'accepted' : 'refused' }
  },
}

function encodeRequest({ xid, request }: ReturnType<typeof readRequestFrame>): Uint8Array {
  const w = new Writer()
  writeRequestFrame(w, xid, request)
  return w.written().subarray(4)
}

/** Refused by a DecodeError; or accepted, and then what is written reads and writes as the same again. */
function mustRoundTrip<T>(
  input: Uint8Array,
  decode: (bytes: Uint8Array) => T,
  encode: (value: T) => Uint8Array,
): boolean {
  let value: T
  try {
    value = decode(input)
  } catch (error) {
    if (error instanceof DecodeError) return false
    throw error
  }
  const once = encode(value)
  const twice = encode(decode(once))
  must(Buffer.compare(once, twice) === 0, 'what was accepted is written the same way again')
  // Booleans, negative counts and malformed text have several forms, and bytes behind a record are ignored.
  must(once.length <= 3 * input.length + 64, 'what was accepted is not blown up')
  return true
}

/** The two readers of requests refuse and accept the same, but for null paths, which only one of them can tell. */
function mustAgreeInPlace(input: Uint8Array): void {
  if (input.length < 8) return
  const view = new RequestView()
  const space = new DataView(input.buffer, input.byteOffset, input.byteLength)
  const isWhole = view.readFrame(input, space, 0, input.length)
  let isDecoded = true
  try {
    readRequestFrame(input)
  } catch (error) {
    must(error instanceof DecodeError, 'a frame is refused by a DecodeError')
    isDecoded = false
  }
  must(!isDecoded || isWhole, 'what the object decoder accepts, the view accepts')
  const ranges = [
    [view.pathFrom, view.pathTo],
    [view.dataFrom, view.dataTo],
    [view.schemeFrom, view.schemeTo],
  ] as const
  for (const [from, to] of ranges) {
    must(
      from === -1 ? to === -1 : from >= 8 && from <= to && to <= input.length,
      'ranges lie inside the frame',
    )
  }
  must(view.at <= input.length, 'the view stays inside the frame')
}

function capturedFrames(): Uint8Array[] {
  const { vectors } = JSON.parse(readFileSync('test/golden/client-vectors.json', 'utf8')) as {
    vectors: readonly { readonly frames: readonly { readonly hex: string }[] }[]
  }
  return vectors.flatMap(({ frames }) =>
    frames.flatMap(({ hex }) => {
      const frame = new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex')).subarray(4)
      return [frame, frame.subarray(Math.min(16, frame.length))]
    }),
  )
}

function logPayloads(): Uint8Array[] {
  const { log } = JSON.parse(readFileSync('test/golden/storage-vectors.json', 'utf8')) as {
    log: readonly { readonly fields: readonly { readonly hex: string }[] }[]
  }
  return log
    .slice(1)
    .map(({ fields }) =>
      new Uint8Array(Buffer.from(fields.map(field => field.hex).join(''), 'hex')).subarray(12, -1),
    )
}

export const snappyTarget: Target = {
  name: 'snappy',
  seeds: () => {
    const blocks = [
      new Uint8Array(0),
      Buffer.from('a'),
      Buffer.from('abcdabcdabcd'.repeat(50)),
      snapshotBytes(),
    ]
    return blocks.map(plain => {
      const into = new Uint8Array(largestCompressed(plain.length))
      return into.subarray(0, compressBlock(plain.subarray(0, 32 * 1024), into))
    })
  },
  make: (random, known) => mutate(random, pick(random, known), known),
  run: input => {
    let outcome = 'refused'
    const { ms } = timed(() => {
      try {
        const plain = decompressBlock(input)
        must(plain.length <= largestSnappyBlockBytes, 'a block gives at most what is allowed')
        outcome = 'accepted'
      } catch (error) {
        if (!(error instanceof SnappyError)) throw error
      }
    })
    return { slowestStepMs: ms, outcome }
  },
}

/** Whole compressed files, through the disk's own reader. */
export const compressedFileTarget: Target = {
  name: 'compressed-file',
  seeds: () => [
    withCodec('gz', gzipSync(snapshotBytes())),
    withCodec('gz', gzipSync(new Uint8Array(200_000))),
    ...filesNamed('snapshot-gz', '.gz').map(bytes => withCodec('gz', bytes)),
    ...filesNamed('snapshot-snappy', '.snappy').map(bytes => withCodec('snappy', bytes)),
  ],
  make: (random, known) => {
    const seed = pick(random, known)
    // The first byte says which codec; it stays.
    return withCodec(seed[0] === 1 ? 'gz' : 'snappy', mutate(random, seed.subarray(1), []))
  },
  run: async (input): Promise<Verdict> => {
    const dir = mkdtempSync(join(tmpdir(), 'corral-fuzz-'))
    const path = join(dir, 'file')
    writeFileSync(path, input.subarray(1))
    const reader = new PlainReader(input[0] === 1 ? 'gz' : 'snappy', path)
    const into = new Uint8Array(64 * 1024)
    const longest = 64 * 1024 * 1024
    let plainBytes = 0
    let outcome = 'accepted'
    let slowestStepMs = 0
    try {
      for (;;) {
        const elapsedMs = stopwatch()
        const count = await reader.read(into)
        slowestStepMs = Math.max(slowestStepMs, elapsedMs())
        plainBytes += count
        if (count < into.length || plainBytes > longest) break
      }
    } catch (error) {
      must(isStreamError(error), `a damaged stream is reported with a code, not as ${String(error)}`)
      outcome = 'refused'
    } finally {
      reader.close()
      rmSync(dir, { recursive: true })
    }
    return { slowestStepMs, outcome }
  },
}

/** zlib's own codes, or the one for a bad snappy stream. */
function isStreamError(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false
  const { code } = error
  return code === 'EBADMSG' || (typeof code === 'string' && code.startsWith('Z_'))
}

function withCodec(codec: 'gz' | 'snappy', bytes: Uint8Array): Uint8Array {
  const input = new Uint8Array(1 + bytes.length)
  input[0] = codec === 'gz' ? 1 : 2
  input.set(bytes, 1)
  return input
}

function snapshotBytes(): Uint8Array {
  return new Uint8Array(readFileSync(dataDir('snapshot-and-logs/data/version-2/snapshot.c')))
}

function filesNamed(dir: string, ending: string): Uint8Array[] {
  const folder = dataDir(`${dir}/data/version-2`)
  return readdirSync(folder)
    .filter(name => name.endsWith(ending) && statSync(join(folder, name)).size < 20_000)
    .map(name => new Uint8Array(readFileSync(join(folder, name))))
}

const configSeeds: readonly string[] = [
  'tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=/var/lib/zookeeper\nclientPort=2181\n',
  'dataDir = /tmp/x \\\n  y\n# comment\n! also\nmaxClientCnxns:60\nautopurge.purgeInterval 1\n',
  'server.1=a:2888:3888\nserver.2=b:2888:3888:observer;2181\ngroup.1=1:2\nweight.1=1\n',
  'clientPort=99999999999\ntickTime=-1\nsnapCount=0x10\njute.maxbuffer=1e9\n4lw.commands.whitelist=*\n',
  '\\u0063lientPort=2181\\\n0\nd\\u0061taDir=\\u002ftmp\n\\uzzzz=1\n',
  'minSessionTimeout=9\nmaxSessionTimeout=1\nquorumListenOnAllIPs=maybe\ndynamicConfigFile=x\n',
  'globalOutstandingLimit=\nzookeeper.extendedTypesEnabled=false\nssl.keyStore.password=secret\n=\n==\n',
]

export const configTarget: Target = {
  name: 'config',
  seeds: () => configSeeds.map(text => Buffer.from(text)),
  make: (random: Random, known) => mutate(random, pick(random, known), known, 4096),
  run: input => {
    const text = Buffer.from(input).toString('latin1')
    const { value, ms } = timed(() => loadConfig({ file: { path: '/etc/zoo.cfg', text }, definitions: [] }))
    const remarks = value.ok ? value.notices : [...value.problems, ...value.notices]
    must(value.ok || value.problems.length > 0, 'a configuration is refused for a reason')
    for (const { where, message } of remarks) {
      must(where.length > 0 && message.length > 0, 'every remark says where and what')
      must(!message.includes('\n'), 'a remark is one line')
    }
    return { slowestStepMs: ms, outcome: value.ok ? 'accepted' : 'refused' }
  },
}
