/**
 * The four-letter words, one row each, with the texts of the Java server. What is written here is parsed by scripts of
 * twenty years: every blank counts.
 *
 * Source: org.apache.zookeeper.server.command, and captures of the Java server in `golden/`.
 */
import type { ConnectionInfo, Peer } from '@corral/core'
import { hexOf, hexText, javaDates, OpCode, type SessionId } from '@corral/protocol'
import type { Answer } from '../answers.ts'
import { escapeUnprintable } from '../log-lines.ts'
import { zooKeeperVersion } from '../version.ts'
import { type Answering, averageLatency, znodeCount } from './answering.ts'
import { monitorText } from './monitor.ts'

export interface Word {
  /** Not answered before recovery is done and after the stop began. */
  readonly needsService: boolean
  answer(asked: Answering): Answer
}

export const words: ReadonlyMap<string, Word> = new Map<string, Word>([
  ['ruok', { needsService: false, answer: () => 'imok' }],
  ['isro', { needsService: false, answer: ({ inspection }) => (inspection.isServing ? 'rw' : 'null') }],
  ['gtmk', { needsService: false, answer: asked => String(asked.traceMask()) }],
  ['stmk', { needsService: false, answer: asked => String(asked.setTraceMask()) }],
  ['envi', { needsService: false, answer: asked => asked.environment() }],
  ['conf', { needsService: true, answer: confText }],
  ['dirs', { needsService: true, answer: dirsText }],
  ['srvr', { needsService: true, answer: asked => versionLine() + serverText(asked) }],
  ['stat', { needsService: true, answer: asked => inParts(statTexts(asked)) }],
  ['cons', { needsService: true, answer: asked => inParts(consTexts(asked)) }],
  ['dump', { needsService: true, answer: asked => inParts(dumpTexts(asked)) }],
  ['mntr', { needsService: true, answer: monitorText }],
  ['wchs', { needsService: true, answer: watchSummaryText }],
  ['wchc', { needsService: true, answer: watchesBySessionText }],
  ['wchp', { needsService: true, answer: watchesByPathText }],
  ['hash', { needsService: true, answer: hashText }],
  [
    'srst',
    {
      needsService: true,
      answer: ({ inspection }) => {
        inspection.resetServerStats()
        return 'Server stats reset.\n'
      },
    },
  ],
  [
    'crst',
    {
      needsService: true,
      answer: ({ inspection }) => {
        inspection.resetConnectionStats()
        return 'Connection stats reset.\n'
      },
    },
  ],
])

function versionLine(): string {
  return `Zookeeper version: ${zooKeeperVersion}\n`
}

function serverText({ inspection }: Answering): string {
  const { counters } = inspection
  const { latencyMinMs, latencyMaxMs } = counters
  return lines([
    `Latency min/avg/max: ${Math.trunc(latencyMinMs)}/${averageLatency(inspection)}/${Math.trunc(latencyMaxMs)}`,
    `Received: ${counters.packetsReceived}`,
    `Sent: ${counters.packetsSent}`,
    `Connections: ${inspection.connectionCount()}`,
    `Outstanding: ${counters.outstanding}`,
    `Zxid: ${hexText(inspection.lastZxid())}`,
    'Mode: standalone',
    `Node count: ${znodeCount(inspection)}`,
  ])
}

function* statTexts(asked: Answering): Generator<string, void> {
  yield `${versionLine()}Clients:\n`
  for (const each of asked.inspection.connections()) yield `${briefConnection(each)})\n`
  yield `\n${serverText(asked)}`
}

function* consTexts({ inspection }: Answering): Generator<string, void> {
  for (const each of inspection.connections()) yield `${briefConnection(each)}${sessionDetails(each)})\n`
  yield '\n'
}

/** ` /127.0.0.1:56636[1](queued=0,recved=81,sent=81`; the number in brackets: 1 while it is read. */
function briefConnection({ peer, isReading, outstanding, received, sent }: ConnectionInfo): string {
  const interest = isReading ? 1 : 0
  return ` ${peerText(peer)}[${interest}](queued=${outstanding},recved=${received},sent=${sent}`
}

/** As InetSocketAddress prints it since Java 14. */
function peerText({ address, port }: Peer): string {
  return address.includes(':') ? `/[${address}]:${port}` : `/${address}:${port}`
}

function sessionDetails(connection: ConnectionInfo): string {
  if (connection.session === 0n) return ''
  const { latencyCount, latencySumMs } = connection
  const details = [
    `sid=${hexText(connection.session)}`,
    `lop=${operationNames.get(connection.lastOp) ?? 'NA'}`,
    `est=${Math.trunc(connection.establishedWallMs)}`,
    `to=${connection.timeoutMs}`,
    ...(connection.lastXid >= 0 ? [`lcxid=0x${connection.lastXid.toString(16)}`] : []),
    `lzxid=${hexText(connection.lastZxid)}`,
    `lresp=${Math.trunc(connection.lastReplyMonotonicMs)}`,
    `llat=${Math.trunc(connection.lastLatencyMs)}`,
    `minlat=${Math.trunc(connection.minLatencyMs)}`,
    `avglat=${latencyCount === 0 ? 0 : Math.trunc(latencySumMs / latencyCount)}`,
    `maxlat=${Math.trunc(connection.maxLatencyMs)}`,
  ]
  return `,${details.join(',')}`
}

const operationNames: ReadonlyMap<number, string> = new Map<number, string>([
  [OpCode.CreateSession, 'SESS'],
  [OpCode.CloseSession, 'CLOS'],
  [OpCode.Ping, 'PING'],
  [OpCode.Create, 'CREA'],
  [OpCode.Create2, 'CREA'],
  [OpCode.CreateContainer, 'CREA'],
  [OpCode.CreateTtl, 'CREA'],
  [OpCode.Delete, 'DELE'],
  [OpCode.DeleteContainer, 'DELE'],
  [OpCode.SetData, 'SETD'],
  [OpCode.SetAcl, 'SETA'],
  [OpCode.Exists, 'EXIS'],
  [OpCode.GetData, 'GETD'],
  [OpCode.GetAcl, 'GETA'],
  [OpCode.GetChildren, 'GETC'],
  [OpCode.GetChildren2, 'GETC'],
  [OpCode.GetAllChildrenNumber, 'GETACN'],
  [OpCode.GetEphemerals, 'GETE'],
  [OpCode.Sync, 'SYNC'],
  [OpCode.Check, 'CHEC'],
  [OpCode.CheckWatches, 'CHKW'],
  [OpCode.RemoveWatches, 'REMW'],
  [OpCode.Multi, 'MULT'],
  [OpCode.MultiRead, 'MLTR'],
  [OpCode.Reconfig, 'RECO'],
  [OpCode.SetWatches, 'SETW'],
  [OpCode.SetWatches2, 'STW2'],
  [OpCode.AddWatch, 'ADDW'],
  [OpCode.WhoAmI, 'HOMI'],
])

/** Counts stand before what is counted: all is gone through first, in silence. */
function* dumpTexts({ inspection, now, timeZone }: Answering): Generator<string, void> {
  const sessions: ExpiryBuckets = new Map()
  const connections: ExpiryBuckets = new Map()
  const owners: SessionId[] = []
  for (const { session, expiresAtMonotonicMs, ownsEphemerals } of inspection.sessions()) {
    putInto(sessions, expiresAtMonotonicMs, `\t${hexText(session)}\n`)
    if (ownsEphemerals) owners.push(session)
    yield ''
  }
  for (const { peer, session, expiresAtMonotonicMs } of inspection.connections()) {
    const text = `\tip: ${peerText(peer)} sessionId: ${hexText(session)}\n`
    putInto(connections, expiresAtMonotonicMs, text)
    yield ''
  }
  const dateOf = javaDates(timeZone)
  const dateAt = (monotonicMs: number): string => dateOf(monotonicMs - now.monotonicMs + now.wallMs)
  yield 'SessionTracker dump:\n'
  yield* bucketTexts('Session Sets', sessions, dateAt)
  yield `ephemeral nodes dump:\nSessions with Ephemerals (${owners.length}):\n`
  for (const owner of owners) {
    yield `${hexText(owner)}:\n`
    for (const path of inspection.ephemeralsOf(owner)) yield `\t${path}\n`
  }
  yield 'Connections dump:\n'
  yield* bucketTexts('Connections Sets', connections, dateAt)
}

/** By the end of a bucket, what is said of each in it. */
type ExpiryBuckets = Map<number, string[]>

function putInto(buckets: ExpiryBuckets, end: number, text: string): void {
  const bucket = buckets.get(end)
  if (bucket === undefined) buckets.set(end, [text])
  else bucket.push(text)
}

function* bucketTexts(
  name: string,
  buckets: ExpiryBuckets,
  dateAt: (monotonicMs: number) => string,
): Generator<string, void> {
  const inOrder = [...buckets].sort(([a], [b]) => a - b)
  const count = inOrder.reduce((sum, [, bucket]) => sum + bucket.length, 0)
  yield `${name} (${buckets.size})/(${count}):\n`
  for (const [end, bucket] of inOrder) {
    yield `${bucket.length} expire at ${dateAt(end)}:\n`
    yield* bucket
  }
}

function watchSummaryText({ inspection }: Answering): string {
  const { connections, paths, watches } = inspection.dataWatchTotals()
  return lines([`${connections} connections watching ${paths} paths`, `Total watches:${watches}`])
}

function* watchesBySessionText({ inspection }: Answering): Generator<string, void> {
  let last: SessionId | undefined
  for (const part of inspection.watchesBySession()) {
    const texts: string[] = []
    for (const { session, path } of part) {
      if (session !== last) texts.push(hexText(session))
      last = session
      texts.push(`\t${escapeUnprintable(path)}`)
    }
    yield lines(texts)
  }
  yield '\n'
}

function* watchesByPathText({ inspection }: Answering): Generator<string, void> {
  for (const part of inspection.watchesByPath()) {
    const texts = part.flatMap(({ path, sessions }) => [
      escapeUnprintable(path), // a watch may be set on any text, line ends included
      ...sessions.map(session => `\t${hexText(session)}`),
    ])
    yield lines(texts)
  }
  yield '\n'
}

function hashText({ inspection }: Answering): string {
  return inspection
    .digests()
    .map(({ zxid, digest }) => `${hexOf(zxid)}: ${BigInt.asIntN(64, digest)}\n`)
    .join('')
}

async function confText({ inspection, place, sizeOfDir }: Answering): Promise<string> {
  const { config } = inspection
  const { dataDir, dataLogDir } = place
  return lines([
    `clientPort=${place.clientPort}`,
    'secureClientPort=-1',
    `dataDir=${dataDir ?? 'memory'}`,
    `dataDirSize=${dataDir === undefined ? 0 : await sizeOfDir(dataDir)}`,
    `dataLogDir=${dataLogDir ?? 'memory'}`,
    `dataLogSize=${dataLogDir === undefined ? 0 : await sizeOfDir(dataLogDir)}`,
    `tickTime=${config.tickTimeMs}`,
    `maxClientCnxns=${config.maxClientCnxns}`,
    `minSessionTimeout=${config.minSessionTimeoutMs}`,
    `maxSessionTimeout=${config.maxSessionTimeoutMs}`,
    `clientPortListenBacklog=${place.backlog}`,
    'serverId=0',
  ])
}

async function dirsText({ place, sizeOfDir }: Answering): Promise<string> {
  const { dataDir, dataLogDir } = place
  return lines([
    `datadir_size: ${dataDir === undefined ? 0 : await sizeOfDir(dataDir)}`,
    `logdir_size: ${dataLogDir === undefined ? 0 : await sizeOfDir(dataLogDir)}`,
  ])
}

const textsPerPart = 1000

/** Made between other work, so there may be any number. */
function* inParts(texts: Iterable<string>): Generator<string, void> {
  let part = ''
  let left = textsPerPart
  for (const text of texts) {
    part += text
    if (--left > 0) continue
    yield part
    part = ''
    left = textsPerPart
  }
  yield part
}

/** An array, since arguments have an end: a hundred thousand of them are more than the stack holds. */
function lines(each: readonly string[]): string {
  return each.map(line => `${line}\n`).join('')
}
