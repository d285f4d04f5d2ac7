/**
 * Every key of ZooKeeper's configuration, and what becomes of it here. A key that is in no row is unknown.
 *
 * - native: read by the original's parser; bad text ends the start.
 * - property: the original's pass-through keys, `zookeeper.<key>` as a system property; bad text means the default.
 * - bare: system properties without the prefix, which the original does not read from the file.
 */

import { words } from '../admin/four-letter-words.ts'
import { core, own, type Settings, section, type Target } from './settings.ts'
import {
  commaList,
  decimalNumber,
  javaBoolean,
  lenientInteger,
  nativeBoolean,
  nativeInteger,
  nativeLong,
  noUnlessYes,
  oneOf,
  purgeInterval,
  quoted,
  type Range,
  type Read,
  type Rule,
  text,
  yesUnlessNo,
} from './value-rules.ts'

export type Form = 'native' | 'property' | 'bare'

export interface Key {
  /** As in the file; one that ends in `*` stands for all keys that begin so. */
  readonly name: string
  readonly form: Form
  readonly fate:
    | {
        readonly kind: 'honoured'
        readonly set: (settings: Settings, text: string, key: string) => Read<unknown>
      }
    /** `check` holds the original's own refusals. `false` asks for nothing, and is not spoken of. */
    | { readonly kind: 'notYet'; readonly feature: string; readonly check: Rule<unknown> | undefined }
    /** Read by members of ensembles only: here, as by a standalone server of the original, it is checked and nothing more. */
    | { readonly kind: 'ensembleOnly'; readonly check: Rule<unknown> | undefined }
    /** `isQuiet`: what asks for nothing that a client could miss, and is not spoken of. */
    | {
        readonly kind: 'meaningless'
        readonly why: string
        readonly check?: Rule<unknown>
        readonly isQuiet?: (text: string) => boolean
      }
    /** Says that the server is a member of an ensemble. */
    | { readonly kind: 'membership' }
}

/** Spellings of the documentation that the original never reads. */
export const aliases: ReadonlyMap<string, string> = new Map([
  ['connectionMaxTokens', 'connection_throttle_tokens'],
  ['connectionTokenFillTime', 'connection_throttle_fill_time'],
  ['connectionTokenFillCount', 'connection_throttle_fill_count'],
  ['connectionFreezeTime', 'connection_throttle_freeze_time'],
  ['connectionDropIncrease', 'connection_throttle_drop_increase'],
  ['connectionDropDecrease', 'connection_throttle_drop_decrease'],
  ['connectionDecreaseRatio', 'connection_throttle_decrease_ratio'],
  ['requestThrottleLimit', 'request_throttle_max_requests'],
  ['requestThrottleStallTime', 'request_throttle_stall_time'],
  ['requestThrottleDropStale', 'request_throttle_drop_stale'],
  ['requestStaleLatencyCheck', 'request_stale_latency_check'],
  ['requestStaleConnectionCheck', 'request_stale_connection_check'],
  ['throttledOpWaitTime', 'throttled_op_wait_time'],
  ['maxConcurrentSnapSyncs', 'leader.maxConcurrentSnapSyncs'],
  ['maxConcurrentDiffSyncs', 'leader.maxConcurrentDiffSyncs'],
  ['maxTimeToWaitForEpoch', 'leader.maxTimeToWaitForEpoch'],
  ['outstandingHandshake.limit', 'netty.server.outstandingHandshake.limit'],
  ['advancedFlowControlEnabled', 'netty.advancedFlowControl.enabled'],
])

const quorumSasl = ['enableSasl', 'serverRequireSasl', 'learnerRequireSasl'].map(
  each => `quorum.auth.${each}`,
)
const pauseMonitor = { kind: 'meaningless', why: 'there is no JVM' } as const

const anyCount = lenientInteger({ min: 0 })
const anyInteger = lenientInteger()

const storage = section('storage')
const auth = section('auth')
const container = section('container')
const request = section('requestThrottle')
const large = section('largeRequest')
const connect = section('connectionThrottle')

export const keys: readonly Key[] = [
  native('dataDir', text, own('dataDir')),
  native('dataLogDir', text, own('dataLogDir')),
  native('clientPort', nativeInteger({ min: 0, max: 65_535 }), own('clientPort')),
  native('clientPortAddress', address, own('clientPortAddress')),
  native('clientPortListenBacklog', nativeInteger(), own('backlog')),
  native('tickTime', tickTime, core('tickTimeMs')),
  native('minSessionTimeout', nativeInteger({ min: -1 }), own('minSessionTimeoutMs')),
  native('maxSessionTimeout', nativeInteger({ min: -1 }), own('maxSessionTimeoutMs')),
  native('maxClientCnxns', nativeInteger({ min: 0, isRaised: true }), core('maxClientCnxns')),
  native('autopurge.snapRetainCount', nativeInteger({ min: 3, isRaised: true }), own('purgeRetainCount')),
  native('autopurge.purgeInterval', purgeInterval, own('purgeIntervalHours')),
  native('reconfigEnabled', nativeBoolean, core('isReconfigEnabled')),
  native('standaloneEnabled', nativeBoolean, own('isStandaloneEnabled')),

  property('snapCount', lenientInteger({ min: 2, isRaised: true }), storage('snapCount')),
  property('snapSizeLimitInKb', kibibytes(), storage('snapSizeLimitBytes')),
  property('txnLogSizeLimitInKb', kibibytes(), storage('txnLogSizeLimitBytes')),
  property('preAllocSize', kibibytes({ min: 0, max: 0x7fff_ffff }), storage('preAllocBytes')),
  property('forceSync', yesUnlessNo, storage('isSyncForced')),
  property('fsync.warningthresholdms', anyInteger, storage('fsyncWarningMs')),
  // Of this server alone.
  property('fsync.stalllimitms', anyCount, storage('stallLimitMs')),
  property('snapshot.compression.method', codec, storage('snapshotCodec')),
  property('snapshot.trust.empty', javaBoolean, storage('isEmptySnapshotTrusted')),
  property('serializeLastProcessedZxid.enabled', javaBoolean, storage('hasLastZxidTrailer')),
  property('digest.enabled', javaBoolean, storage('isDigestEnabled')),
  property('datadir.autocreate', javaBoolean, own('isDataDirAutocreated')),
  property('db.autocreate', javaBoolean, storage('isDbAutocreated')),
  property('enforceQuota', javaBoolean, core('isQuotaEnforced')),
  property('skipACL', noUnlessYes, auth('isAclSkipped')),
  property('extendedTypesEnabled', javaBoolean, core('isTtlEnabled')),
  property('maxCnxns', anyCount, core('maxCnxns')),
  property('clientTcpKeepAlive', javaBoolean, own('hasKeepAlive')),
  property('nio.sessionlessCnxnTimeout', lenientInteger({ min: 1 }), core('sessionlessTimeoutMs')),
  property('4lw.commands.whitelist', fourLetterWords, own('fourLetterWords')),
  property('globalOutstandingLimit', lenientInteger({ min: 1 }), core('globalOutstandingLimit')),
  property('request_throttle_max_requests', anyCount, request('maxRequests')),
  property('throttled_op_wait_time', anyCount, request('throttledOpWaitTimeMs')),
  property('largeRequestThreshold', anyInteger, large('thresholdBytes')),
  property('largeRequestMaxBytes', lenientInteger({ min: 1 }), large('maxBytes')),
  property('connection_throttle_tokens', anyCount, connect('tokens')),
  property('connection_throttle_fill_time', lenientInteger({ min: 1 }), connect('fillTimeMs')),
  property('connection_throttle_fill_count', lenientInteger({ min: 1 }), connect('fillCount')),
  property('connection_throttle_freeze_time', anyInteger, connect('freezeTimeMs')),
  property('connection_throttle_drop_increase', decimalNumber, connect('dropIncrease')),
  property('connection_throttle_drop_decrease', decimalNumber, connect('dropDecrease')),
  property('connection_throttle_decrease_ratio', decimalNumber, connect('decreaseRatio')),
  property('connection_throttle_weight_enabled', javaBoolean, connect('isWeighted')),
  property(
    'connection_throttle_global_session_weight',
    lenientInteger({ min: 1 }),
    connect('globalSessionWeight'),
  ),
  property(
    'connection_throttle_renew_session_weight',
    lenientInteger({ min: 1 }),
    connect('renewSessionWeight'),
  ),
  property('DigestAuthenticationProvider.superDigest', text, auth('superDigest')),
  property('DigestAuthenticationProvider.enabled', javaBoolean, auth('isDigestEnabled')),
  property('enforce.auth.enabled', javaBoolean, own('isAuthEnforced')),
  property('enforce.auth.schemes', schemes, own('enforcedSchemes')),
  property('sessionRequireClientSASLAuth', javaBoolean, own('isSaslRequired')),
  property(
    'jute.maxbuffer.extrasize',
    lenientInteger({ min: 1024, max: 0x7fff_ffff }),
    own('extraFrameBytes'),
  ),
  property('console.threshold', logLevel, own('logThreshold')),
  bare('readonlymode.enabled', javaBoolean, own('isReadOnlyModeEnabled')),
  bare('jute.maxbuffer', lenientInteger({ min: 1, max: 0x7fff_ffff }), core('maxFrameBytes')),
  bare('znode.container.checkIntervalMs', lenientInteger({ min: 1 }), container('checkIntervalMs')),
  bare('znode.container.maxPerMinute', lenientInteger({ min: 1 }), container('maxPerMinute')),
  bare('znode.container.maxNeverUsedIntervalMs', anyCount, container('maxNeverUsedIntervalMs')),

  ...membership('server.*', 'group.*', 'weight.*', 'dynamicConfigFile'),

  ...ensembleOnly(
    'native',
    nativeInteger(),
    'initLimit',
    'syncLimit',
    'connectToLearnerMasterLimit',
    'observerMasterPort',
    'quorum.cnxn.threads.size',
    'multiAddress.reachabilityCheckTimeoutMs',
  ),
  ...ensembleOnly('native', nativeBoolean, 'quorumListenOnAllIPs', 'syncEnabled'),
  ...ensembleOnly('native', nativeBoolean, 'localSessionsEnabled', 'localSessionsUpgradingEnabled'),
  ...ensembleOnly('native', nativeBoolean, 'sslQuorum', 'portUnification', 'sslQuorumReloadCertFiles'),
  ...ensembleOnly('native', peerType, 'peerType'),
  ...ensembleOnly('native', electionAlg, 'electionAlg'),
  ...ensembleOnly('native', nativeBoolean, 'multiAddress.enabled', 'multiAddress.reachabilityCheckEnabled'),
  ...ensembleOnly('native', nativeBoolean, ...quorumSasl),
  ...ensembleOnly('native', undefined, 'multiAddress.*', 'oraclePath', 'quorum.auth.*'),
  ...ensembleOnly(
    'property',
    undefined,
    'commitLogCount',
    'snapshotSizeFactor',
    'leaderServes',
    'ssl.quorum.*',
  ),
  ...ensembleOnly('property', undefined, 'cnxTimeout', 'quorumCnxnTimeoutMs', 'tcpKeepAlive'),
  ...ensembleOnly('property', undefined, 'electionPortBindRetry', 'fastleader.*', 'leader.*', 'learner.*'),
  ...ensembleOnly('property', undefined, 'leaderConnectDelayDuringRetryMs', 'observer.*', 'follower.*'),
  ...ensembleOnly('property', undefined, 'observerMaster.sizeLimit', 'forceSnapshotSync', 'messageTracker.*'),
  ...ensembleOnly('property', undefined, 'forward_learner_requests_to_commit_processor_disabled'),
  ...ensembleOnly('property', undefined, 'enableEagerACLCheck', 'connection_throttle_local_session_weight'),
  ...notYet('TLS', 'native', nativeInteger({ min: 0, max: 65_535 }), 'secureClientPort'),
  ...notYet('TLS', 'native', undefined, 'secureClientPortAddress'),
  ...notYet(
    'TLS',
    'property',
    undefined,
    'ssl.*',
    'client.portUnification',
    'client.certReload',
    'fips-mode',
  ),
  ...notYet('TLS', 'property', undefined, 'X509AuthenticationProvider.superUser'),
  ...notYet('TLS', 'property', undefined, 'netty.server.outstandingHandshake.limit'),
  ...notYet('TLS', 'property', undefined, 'netty.server.earlyDropSecureConnectionHandshakes'),
  ...notYet(
    'SASL',
    'property',
    undefined,
    'superUser',
    'superUser.*',
    'SASLAuthenticationProvider.superPassword',
  ),
  ...notYet(
    'SASL',
    'property',
    undefined,
    'letAnySaslUserDoX',
    'allowSaslFailedClients',
    'kerberos.*',
    'kinit',
  ),
  ...notYet(
    'SASL',
    'property',
    undefined,
    'security.auth_to_local',
    'requireKerberosConfig',
    'sasl.serverconfig',
  ),
  ...notYet('SASL', 'bare', undefined, 'java.security.auth.login.config', 'java.security.krb5.conf'),
  ...notYet('further authentication schemes', 'property', undefined, 'authProvider.*', 'ensembleAuthName'),
  ...notYet('other digests than SHA1', 'property', onlySha1, 'DigestAuthenticationProvider.digestAlg'),
  ...notYet('AdminServer', 'property', undefined, 'admin.*', 'IPAuthenticationProvider.usexforwardedfor'),
  ...notYet('metrics providers', 'native', undefined, 'metricsProvider.*'),
  ...notYet('audit log', 'property', undefined, 'audit.*'),
  ...notYet('path statistics', 'property', undefined, 'pathStats.*'),
  ...notYet('TTL znodes of 3.5.3', 'property', undefined, 'emulate353TTLNodes'),

  { name: 'jvm.pause.monitor', form: 'native', fate: { ...pauseMonitor, check: nativeBoolean } },
  { name: 'jvm.pause.info-threshold.ms', form: 'native', fate: { ...pauseMonitor, check: nativeLong } },
  { name: 'jvm.pause.warn-threshold.ms', form: 'native', fate: { ...pauseMonitor, check: nativeLong } },
  { name: 'jvm.pause.sleep.time.ms', form: 'native', fate: { ...pauseMonitor, check: nativeLong } },
  ...meaningless(
    'there is no JVM',
    'property',
    'intBufferStartingSizeBytes',
    'jmx.*',
    'nio.numSelectorThreads',
  ),
  ...meaningless('there is no JVM', 'property', 'nio.numWorkerThreads', 'nio.directBufferBytes'),
  ...meaningless('there is no JVM', 'property', 'commitProcessor.*'),
  {
    name: 'serverCnxnFactory',
    form: 'property',
    fate: {
      kind: 'meaningless',
      why: 'one kind of connection serves all clients',
      isQuiet: written => /^org\.apache\.zookeeper\.server\.(NIO|Netty)ServerCnxnFactory$/.test(written),
    },
  },
  ...meaningless('there is no JVM', 'property', 'netty.advancedFlowControl.enabled'),
  ...meaningless(
    'one watch table serves all sizes',
    'property',
    'watchManagerName',
    'watcherCleanThreadsNum',
  ),
  ...meaningless('one watch table serves all sizes', 'property', 'watcherCleanThreshold', 'bitHashCacheSize'),
  ...meaningless('one watch table serves all sizes', 'property', 'watcherCleanIntervalInSeconds'),
  ...meaningless('one watch table serves all sizes', 'property', 'maxInProcessingDeadWatchers'),
  ...meaningless('a batch is what arrived during the last sync', 'property', 'flushDelay', 'maxBatchSize'),
  ...meaningless('a batch is what arrived during the last sync', 'property', 'maxWriteQueuePollTime'),
  ...meaningless('who waits goes on as soon as there is room', 'property', 'request_throttle_stall_time'),
  ...meaningless(
    'what a connection was waiting for goes with it, and it goes when its session has expired',
    'property',
    'request_throttle_drop_stale',
    'request_stale_connection_check',
    'request_stale_latency_check',
  ),
  ...meaningless('replies are not cached by count', 'property', 'maxResponseCacheSize'),
  ...meaningless('replies are not cached by count', 'property', 'maxGetChildrenResponseCacheSize'),
  ...meaningless('it is always on', 'property', 'closeSessionTxn.enabled'),
  ...meaningless(
    'a stop drains at once',
    'property',
    'nio.shutdownTimeout',
    'request_throttler.shutdownTimeout',
  ),
  ...meaningless(
    'log lines go to standard output',
    'property',
    'log.*',
    'tracelog.*',
    'auditlog.*',
    'root.logger',
  ),
]

function native<T>(name: string, rule: Rule<T>, into: Target<T>): Key {
  return honoured('native', name, rule, into)
}

function property<T>(name: string, rule: Rule<T>, into: Target<T>): Key {
  return honoured('property', name, rule, into)
}

function bare<T>(name: string, rule: Rule<T>, into: Target<T>): Key {
  return honoured('bare', name, rule, into)
}

function honoured<T>(form: Form, name: string, rule: Rule<T>, into: Target<T>): Key {
  const set = (settings: Settings, written: string, key: string): Read<unknown> => {
    const read = rule(written, key)
    if (read.ok) into(settings, read.value)
    return read
  }
  return { name, form, fate: { kind: 'honoured', set } }
}

function notYet(feature: string, form: Form, check: Rule<unknown> | undefined, ...names: string[]): Key[] {
  return names.map(name => ({ name, form, fate: { kind: 'notYet', feature, check } }))
}

function ensembleOnly(form: Form, check: Rule<unknown> | undefined, ...names: string[]): Key[] {
  return names.map(name => ({ name, form, fate: { kind: 'ensembleOnly', check } }))
}

function meaningless(why: string, form: Form, ...names: string[]): Key[] {
  return names.map(name => ({ name, form, fate: { kind: 'meaningless', why } }))
}

function membership(...names: string[]): Key[] {
  return names.map(name => ({ name, form: 'native', fate: { kind: 'membership' } }))
}

/** In bytes; below 0 is 0, which is no limit. */
function kibibytes(range: Range = {}): Rule<number> {
  const rule = lenientInteger(range)
  return (written, key) => {
    const read = rule(written, key)
    return read.ok ? { ...read, value: Math.max(0, read.value) * 1024 } : read
  }
}

function codec(written: string, key: string): Read<'plain' | 'gz' | 'snappy'> {
  const read = oneOf(['', 'gz', 'snappy'])(written, key)
  return read.ok ? { ok: true, value: read.value === '' ? 'plain' : read.value } : read
}

function tickTime(written: string): Read<number> {
  if (/^[+-]?0+$/.test(written)) return { ok: false, problem: 'tickTime is not set' }
  return nativeInteger({ min: 1 })(written, 'tickTime')
}

function address(written: string): Read<string> {
  if (written !== '') return { ok: true, value: written }
  return { ok: true, value: '127.0.0.1', remark: 'is empty, which means the loopback address' }
}

function logLevel(written: string): Read<Settings['logThreshold']> {
  return oneOf(['debug', 'info', 'warn', 'error'])(written, 'console.threshold')
}

function schemes(written: string): Read<readonly string[]> {
  return { ok: true, value: commaList(written) }
}

function fourLetterWords(written: string): Read<readonly string[]> {
  const listed = commaList(written)
  const strange = listed.filter(each => each !== '*' && !words.has(each))
  if (strange.length === 0) return { ok: true, value: listed }
  const remark = `names no four-letter word: ${strange.map(quoted).join(', ')}; words are divided by commas`
  return { ok: true, value: listed, remark }
}

function peerType(written: string): Read<string> {
  const isKnown = /^(observer|participant)$/i.test(written)
  return isKnown ? { ok: true, value: written } : { ok: false, problem: `Unrecognised peertype: ${written}` }
}

function electionAlg(written: string): Read<number> {
  if (written === '3') return { ok: true, value: 3 }
  return { ok: false, problem: 'Invalid electionAlg value. Only 3 is supported.' }
}

/** Ids in ACLs would not match: refused, never ignored. */
function onlySha1(written: string): Read<string> {
  if (/^sha-?1$/i.test(written)) return { ok: true, value: written }
  return { ok: false, problem: 'only SHA1 is supported' }
}
