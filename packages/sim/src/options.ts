/** What one run is like: everything drawn from its seed, printed when it fails. */
import { defaultConfig, type Random, type ServerConfig } from '@corral/core'
import { between, chance, pick } from './chance.ts'
import { type Mix, type Work, works } from './clients/generator.ts'
import type { ClientHabits } from './clients/sim-client.ts'
import { type DiskOptions, healthyDisk } from './disk-options.ts'
import type { DriverOptions } from './driver.ts'
import type { NetworkOptions } from './network.ts'

/** What a server must bear without losing anything; each is on in half of the runs. */
const bearable = ['network', 'kill', 'powerLoss', 'disk', 'clock', 'stall', 'clients', 'hostile'] as const
/**
 * A disk that breaks its word, or an operator; one of them is on in a third of the runs, since the judge must then grant
 * losses.
 */
const dishonest = [
  'lostSync',
  'misdirectedWrite',
  'bitRot',
  'staleRead',
  'fileLoss',
  'rollback',
  'liveCopy',
] as const
export type FaultClass = (typeof bearable)[number] | (typeof dishonest)[number]
export const faultClasses: readonly FaultClass[] = [...bearable, ...dishonest]

export interface RunOptions {
  readonly seed: number
  readonly operations: number
  readonly faults: readonly FaultClass[]
  readonly wireClients: number
  readonly libraryClients: number
  readonly hostileClients: number
  readonly mix: Mix
  readonly maxValueBytes: number
  readonly habits: ClientHabits
  readonly network: NetworkOptions
  readonly disk: DiskOptions
  readonly driver: DriverOptions
  /** Mean time between faults of the plan (crashes, stalls, clock steps, storms). */
  readonly meanFaultMs: number
  readonly maxStallMs: number
  readonly config: ServerConfig
  /** An `initialize` marker says that the empty directory is meant to be one. */
  readonly isDeclaredNew: boolean
}

/** `super:secret`, SHA-1, Base64: who the auditor is. */
export const superSecret = 'super:secret'
export const superDigest = 'super:lK75jTNcA+U9vtVEw5vB51mj/w4='

/** @param wanted - what the command line fixes; the rest is drawn */
export function drawOptions(
  random: Random,
  wanted: {
    readonly seed: number
    readonly operations?: number
    readonly clients?: number
    readonly faults?: readonly FaultClass[]
  },
): RunOptions {
  const drawn: FaultClass[] = bearable.filter(() => chance(random, 0.5))
  if (chance(random, 0.33)) drawn.push(pick(random, dishonest))
  const faults = wanted.faults ?? drawn
  const has = (fault: FaultClass): boolean => faults.includes(fault)
  const tickTimeMs = pick(random, [20, 100, 500, 2000])
  const config: ServerConfig = {
    ...defaultConfig,
    tickTimeMs,
    minSessionTimeoutMs: 2 * tickTimeMs,
    maxSessionTimeoutMs: 20 * tickTimeMs,
    maxClientCnxns: 0,
    sessionlessTimeoutMs: pick(random, [500, 10_000]),
    globalOutstandingLimit: pick(random, [5, 100, 1000]),
    requestThrottle: {
      ...defaultConfig.requestThrottle,
      maxRequests: pick(random, [0, 0, 3, 50]),
      throttledOpWaitTimeMs: pick(random, [0, 0, 1, 50]),
    },
    largeRequest: pick(random, [
      defaultConfig.largeRequest,
      { thresholdBytes: 1000, maxBytes: 30_000 },
      { thresholdBytes: 100, maxBytes: 100_000 },
    ]),
    connectionThrottle: {
      ...defaultConfig.connectionThrottle,
      tokens: pick(random, [0, 0, 0, 3]),
      fillTimeMs: 20,
    },
    isQuotaEnforced: chance(random, 0.7),
    isTtlEnabled: chance(random, 0.8),
    auth: { ...defaultConfig.auth, superDigest },
    container: {
      checkIntervalMs: pick(random, [50, 1000, 60_000]),
      maxPerMinute: pick(random, [10_000, 1_000_000]),
      maxNeverUsedIntervalMs: 0,
    },
    storage: {
      ...defaultConfig.storage,
      preAllocBytes: pick(random, [0, 4096, 65_536]),
      snapCount: pick(random, [3, 10, 50, 100_000]),
      txnLogSizeLimitBytes: pick(random, [0, 0, 4096, 20_000]),
      snapshotCodec: pick(random, ['plain', 'plain', 'gz', 'snappy'] as const),
      purge: chance(random, 0.7) ? { retainCount: between(random, 1, 4) } : undefined,
    },
  }
  const restartMs = pick(random, [1, 200, 3000])
  const habits: ClientHabits = {
    sessionTimeoutMs: tickTimeMs * between(random, 2, 20),
    meanThinkMs: pick(random, [1, 10, 50]),
    maxPipelined: pick(random, [1, 4, 30]),
    hangUp: has('clients') ? 0.02 : 0,
    letExpire: has('clients') ? 0.01 : 0,
    closeSession: has('clients') ? 0.01 : 0,
    readSlowly: has('clients') ? 0.02 : 0,
  }
  const wireClients = between(random, 1, 5)
  const libraryClients = between(random, 0, 3)
  const maxStallMs = habits.sessionTimeoutMs * pick(random, [0.1, 0.5, 2])
  const most = wanted.clients ?? wireClients + libraryClients
  // Drawn in any case: a run with fewer operations must otherwise be the same.
  const operations = pick(random, [200, 500, 1000])
  return {
    seed: wanted.seed,
    operations: wanted.operations ?? operations,
    faults,
    wireClients: Math.min(wireClients, most),
    libraryClients: Math.max(0, Math.min(libraryClients, most - wireClients)),
    hostileClients: has('hostile') ? between(random, 1, 3) : 0,
    mix: drawMix(random),
    maxValueBytes: pick(random, [100, 5000, 50_000]),
    habits,
    network: drawNetwork(random, { isFaulty: has('network'), patienceMs: habits.sessionTimeoutMs }),
    disk: { ...drawDisk(random, has('disk')), ...drawLies(random, has) },
    driver: {
      turnMs: pick(random, [0, 0.2, 2]),
      isPortOpenEarly: chance(random, 0.5),
      wallOffsetMs: has('clock') ? between(random, -300_000_000, 300_000_000) * 1000 : 0,
      clockRate: has('clock') ? between(random, 90, 110) / 100 : 1,
      hasMarks: chance(random, 0.5),
      restartMs,
    },
    // Somebody must come to something between two faults: a client gives up after a time that is its timeout's.
    meanFaultMs:
      (has('kill') || has('powerLoss') ? restartMs : 0) +
      (has('stall') ? maxStallMs / faults.length : 0) +
      habits.sessionTimeoutMs * pick(random, [0.1, 0.5, 2]),
    maxStallMs,
    config,
    isDeclaredNew: chance(random, 0.2),
  }
}

function drawMix(random: Random): Mix {
  const weights = new Map<Work, number>()
  for (const work of works) weights.set(work, chance(random, 0.7) ? between(random, 1, 10) : 0)
  weights.set('register', Math.max(1, weights.get('register') ?? 0))
  weights.set('reads', Math.max(1, weights.get('reads') ?? 0))
  return Object.fromEntries(weights) as Mix
}

/** @param given - patienceMs: the network must be fast enough for clients that wait no longer than this */
function drawNetwork(
  random: Random,
  given: { readonly isFaulty: boolean; readonly patienceMs: number },
): NetworkOptions {
  const { isFaulty, patienceMs } = given
  const meanLatencyMs = Math.min(pick(random, [0.1, 1, 20]), patienceMs / 80)
  return {
    minLatencyMs: Math.min(pick(random, [0, 0.1, 2]), patienceMs / 80),
    meanLatencyMs,
    segmentation: pick(random, ['whole', 'mixed', 'mixed', 'bytes'] as const),
    // A small window on a long way moves next to nothing.
    windowBytes:
      meanLatencyMs > 1 ? pick(random, [65_536, 1_000_000]) : pick(random, [1024, 4096, 1_000_000]),
    clog: isFaulty ? pick(random, [0, 0.002, 0.01]) : 0,
    maxClogMs: pick(random, [50, 2000]),
    break: isFaulty ? pick(random, [0.0005, 0.003]) : 0,
    halfOpen: pick(random, [0, 0.5]),
    refuse: isFaulty ? pick(random, [0, 0.2]) : 0,
  }
}

function drawDisk(random: Random, isFaulty: boolean): DiskOptions {
  const base: DiskOptions = {
    ...healthyDisk,
    meanLatencyMs: pick(random, [0.01, 0.1, 2]),
    meanSyncMs: pick(random, [0.1, 1, 10]),
  }
  if (!isFaulty) return base
  const rate = (): number => (chance(random, 0.5) ? pick(random, [0.001, 0.01]) : 0)
  return {
    ...base,
    slowSync: rate(),
    slowSyncMs: pick(random, [50, 1000]),
    writeError: rate(),
    syncError: rate(),
    readError: rate(),
    noSpace: rate(),
    nameError: rate(),
    errorBudget: between(random, 1, 4),
  }
}

function drawLies(
  random: Random,
  has: (fault: FaultClass) => boolean,
): Pick<DiskOptions, 'lostSync' | 'misdirected' | 'staleRead'> {
  const lostSync = pick(random, [0.01, 0.2, 1])
  const misdirected = pick(random, [0.001, 0.01])
  const staleRead = pick(random, [0.02, 0.2])
  return {
    lostSync: has('lostSync') ? lostSync : 0,
    misdirected: has('misdirectedWrite') ? misdirected : 0,
    staleRead: has('staleRead') ? staleRead : 0,
  }
}
