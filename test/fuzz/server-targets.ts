/** A whole server under hostile clients. What must hold is said in {@link play} and what follows it. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Random, ServerConfig } from '@corral/core'
import { ErrorCode, Reader, type Request } from '@corral/protocol'
import { aclRequest, anyRequest, makePlay, type PlayStep, quotaRequest, readPlay, writePlay } from './play.ts'
import { replayedTree } from './replayed-tree.ts'
import { must, type Target, type Verdict } from './target.ts'
import { type Line, plainConfig, WatchedServer } from './watched-server.ts'

/** Beyond it a reply would have had to be refused: the largest multiRead, and one chunk grown to its double. */
const mostStepBytes = 64 * 1024 * 1024

export const connectionTarget: Target = serverTarget('connection', anyRequest, {})
export const quotaTarget: Target = serverTarget('quota', quotaRequest, { isQuotaEnforced: true })
export const aclTarget: Target = serverTarget('acl', aclRequest, {})

function serverTarget(
  name: string,
  request: (random: Random) => Request,
  config: Partial<ServerConfig>,
): Target {
  return {
    name,
    seeds: capturedPlays,
    make: (random, known) => makePlay(random, known, request),
    run: input => runTwice(readPlay(input), config),
  }
}

/** The captured conversations, as a client would have them again. */
function capturedPlays(): readonly Uint8Array[] {
  const { vectors } = JSON.parse(readFileSync('test/golden/client-vectors.json', 'utf8')) as {
    vectors: readonly { readonly frames: readonly { readonly from: string; readonly hex: string }[] }[]
  }
  const sends = (from: number, to: number): PlayStep[] =>
    vectors
      .slice(from, to)
      .flatMap(({ frames }) =>
        frames
          .filter(frame => frame.from === 'client')
          .flatMap(({ hex }): PlayStep[] => [
            { do: 'send', conn: 1, bytes: new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex')) },
            { do: 'settle' },
          ]),
      )
  const open: PlayStep = { do: 'open', conn: 1 }
  const connect = sends(0, 1)
  return [
    [open, ...sends(0, 1), ...sends(3, 19), ...sends(20, 24)],
    [open, ...connect, ...sends(20, 30)],
    [open, ...connect, ...sends(32, 33)],
    ...vectors.map((_, i): PlayStep[] => [open, ...(i === 0 ? [] : connect), ...sends(i, i + 1)]),
  ].map(writePlay)
}

/** The same play over two poisons must say the same: then nothing unwritten, or beside the bytes given, was said. */
function runTwice(steps: readonly PlayStep[], config: Partial<ServerConfig>): Verdict {
  const first = play(steps, config, 0xa5)
  const second = play(steps, config, 0x5a)
  must(first.transcript === second.transcript, 'what is said does not depend on unwritten memory')
  return {
    slowestStepMs: Math.max(first.slowestStepMs, second.slowestStepMs),
    outcome: first.outcome,
  }
}

function play(
  steps: readonly PlayStep[],
  config: Partial<ServerConfig>,
  poison: number,
): Verdict & { readonly transcript: string } {
  const watched = new WatchedServer({ config: { ...plainConfig, ...config }, poison })
  must(watched.isServing, 'a server without data serves at once')
  for (const step of steps) doStep(watched, step)
  watched.settle()
  must(watched.fatal === undefined, `no client ends the server: ${watched.fatal}`)
  must(watched.largestStepBytes <= mostStepBytes, 'what one step says is bounded')
  must(watched.largestHeldBytes <= 2 * mostStepBytes, 'the memory that one step takes is bounded')
  for (const line of watched.lines.values()) must(!line.hasHalfFrame, 'only whole frames are said')
  mustServeOthers(watched)
  mustForget(watched)
  return {
    slowestStepMs: watched.slowestStepMs,
    outcome: outcomeOf(watched.lines.values()),
    transcript: transcriptOf(watched.lines.values()),
  }
}

function doStep(watched: WatchedServer, step: PlayStep): void {
  switch (step.do) {
    case 'open':
      if (!watched.lines.has(step.conn)) watched.open(step.conn)
      return
    case 'hangup': {
      const line = watched.lines.get(step.conn)
      if (line !== undefined) watched.hangUp(line)
      return
    }
    case 'send': {
      const line = watched.lines.get(step.conn)
      if (line !== undefined) watched.send(line, step.bytes)
      return
    }
    case 'unsent': {
      const line = watched.lines.get(step.conn)
      if (line !== undefined && !line.isClosed) {
        watched.step({ kind: 'unsent', conn: step.conn, lengthBytes: step.lengthBytes })
      }
      return
    }
    case 'pass':
      return watched.pass(step.ms)
    case 'disk':
      watched.diskOnce()
      return
    case 'turn':
      watched.turn()
      return
    case 'settle':
      return watched.settle()
  }
}

/** Whatever the others did, a client from elsewhere is served. */
function mustServeOthers(watched: WatchedServer): void {
  const line = watched.open(900, '10.9.8.7')
  must(watched.connect(line) !== 0n, 'another client gets a session')
  const ping = watched.ask(line, -2, { kind: 'ping' })
  must(ping.err === ErrorCode.Ok && ping.xid === -2, 'another client gets its pings answered')
  const sync = watched.ask(line, 1, { kind: 'sync', path: '/' })
  must(sync.err === ErrorCode.Ok && sync.body.string() === '/', 'another client can sync')
  const missing = watched.ask(line, 2, { kind: 'exists', path: '/never-there', watch: false })
  must(missing.err === ErrorCode.NoNode && missing.xid === 2, 'another client can read')
}

/** When all clients are gone and their sessions have expired, nothing of them is left but the znodes that last. */
function mustForget(watched: WatchedServer): void {
  const { server } = watched
  for (const line of watched.lines.values()) watched.hangUp(line)
  watched.settle()
  const gone = server.inspect()
  must(gone.connectionCount() === 0, 'closed connections are forgotten')
  must(gone.watchCount() === 0, 'the watches of closed connections are forgotten')
  must(gone.counters.outstanding === 0, `nothing stays outstanding, not ${gone.counters.outstanding}`)
  watched.pass(70_000)
  watched.settle()
  const after = server.inspect()
  must(after.sessionCount() === 0, 'sessions without a client expire')
  must(after.ephemeralCount() === 0, 'ephemerals go with their sessions')
  must(watched.fatal === undefined, `the server lives on: ${watched.fatal}`)
  const tree = replayedTree(watched.disk.files, watched.config.isTtlEnabled)
  must(tree.znodeCount === after.znodeCount(), 'the log replays to the same znodes')
}

function transcriptOf(lines: Iterable<Line>): string {
  const hash = createHash('sha1')
  for (const { conn, frames, isClosed, command } of lines) {
    hash.update(`${conn} ${frames.length} ${isClosed} ${command?.word}\n`)
    for (const frame of frames) hash.update(frame)
  }
  return hash.digest('hex')
}

/** Error codes of the last replies: a play that is refused at once says little. */
function outcomeOf(lines: Iterable<Line>): string {
  let replies = 0
  let refused = 0
  for (const { frames, conn } of lines) {
    if (conn === 900) continue
    for (const frame of frames.slice(1)) {
      if (frame.length < 16) continue
      const r = new Reader(frame, 12)
      if (r.int32() === 0) replies++
      else refused++
    }
  }
  return replies > 5 ? 'served' : refused > 0 ? 'refused' : replies > 0 ? 'little' : 'nothing'
}
