/** What a connection may begin with: four-letter words, and what looks like them. */
import { CommandDesk } from '../../packages/server/src/admin/command-desk.ts'
import { words as knownWords } from '../../packages/server/src/admin/four-letter-words.ts'
import { joined, mutate, pick } from './mutate.ts'
import { must, type Target, timed, type Verdict } from './target.ts'
import { connectFrame, type Line, WatchedServer } from './watched-server.ts'

const longestAnswerBytes = 64 * 1024
const sessionlessMs = 10_000

export const wordTarget: Target = {
  name: 'words',
  seeds: () => [
    ...[...knownWords.keys(), 'xxxx', 'RUOK', 'ruo', '', 'GET / HTTP/1.1\r\n\r\n'].map(word =>
      Buffer.from(word),
    ),
    ...['stmk\0\0\0\0\0\0\0\x02', 'ruok\r\n', 'srvrsrvr'].map(text => Buffer.from(text)),
    Uint8Array.of(0xff, 0xf4, 0xff, 0xfd, 6),
    connectFrame(),
    joined(connectFrame(), Buffer.from('ruok')),
  ],
  make: (random, known) => mutate(random, pick(random, known), known, 256),
  run: async input => {
    const outcomes: string[] = []
    let slowestStepMs = 0
    for (const piece of [input.length, 1, 3]) {
      const verdict = await begin(input, Math.max(1, piece))
      outcomes.push(verdict.outcome)
      slowestStepMs = Math.max(slowestStepMs, verdict.slowestStepMs)
    }
    must(new Set(outcomes).size === 1, `the pieces do not matter: ${outcomes.join(', ')}`)
    return { slowestStepMs, outcome: outcomes[0] as string }
  },
}

async function begin(input: Uint8Array, pieceBytes: number): Promise<Verdict> {
  const watched = new WatchedServer()
  const line = watched.open(1)
  for (let at = 0; at < input.length; at += pieceBytes) {
    watched.send(line, input.subarray(at, at + pieceBytes))
  }
  watched.settle()
  must(watched.fatal === undefined, 'no first bytes end the server')
  const { slowestStepMs } = watched
  const { command } = line
  if (command !== undefined) {
    const ms = await mustAnswer(watched, line, command)
    return { slowestStepMs: Math.max(slowestStepMs, ms), outcome: 'a word' }
  }
  const hasSession = [...watched.server.inspect().connections()].some(each => each.session !== 0n)
  if (line.isClosed || hasSession) return { slowestStepMs, outcome: line.isClosed ? 'closed' : 'a session' }
  must(line.saidBytes === 0, 'nothing is said to who said nothing')
  watched.pass(sessionlessMs)
  must(line.isClosed, 'who does not get a session in time is closed')
  return { slowestStepMs, outcome: 'timed out' }
}

async function mustAnswer(
  watched: WatchedServer,
  line: Line,
  { word, argument }: { readonly word: number; readonly argument: Uint8Array },
): Promise<number> {
  must(line.saidBytes === 0, 'core says nothing to a word: the desk does')
  const place = {
    clientPort: 2181,
    backlog: -1,
    dataDir: undefined,
    dataLogDir: undefined,
    startedMonotonicMs: 0,
  }
  const inspection = watched.server.inspect()
  for (const allowed of [['*'], ['srvr']]) {
    const desk = new CommandDesk({ allowed, place: () => place, say: () => undefined })
    const now = { monotonicMs: watched.nowMs, wallMs: 1_700_000_000_000 }
    const asker = { address: '127.0.0.1', port: 1 }
    const { value, ms } = timed(() => {
      const made = desk.answer(word, argument, { inspection, now, asker })
      return typeof made === 'string' || made instanceof Promise ? made : [...made].join('')
    })
    const answer = await value
    must(answer.length <= longestAnswerBytes, 'an answer is bounded')
    must(/^[\t\n\x20-\x7e]*$/.test(answer), 'an answer is plain text')
    if (allowed[0] !== '*') return ms
  }
  return 0
}
