/** `mntr`: `zk_<name>` TAB value. Only what is really counted; monitoring takes a missing key better than a wrong one. */
import { mostDescriptors, openDescriptors } from '../io/descriptors.ts'
import { zooKeeperVersion } from '../version.ts'
import { type Answering, averageLatency, znodeCount } from './answering.ts'

export function monitorText({ inspection, now, place }: Answering): string {
  const { counters } = inspection
  const storage = inspection.storage()
  const values: readonly (readonly [string, string | number | undefined])[] = [
    ['version', zooKeeperVersion],
    ['server_state', 'standalone'],
    ['ephemerals_count', inspection.ephemeralCount()],
    ['num_alive_connections', inspection.connectionCount()],
    ['avg_latency', averageLatency(inspection)],
    ['outstanding_requests', counters.outstanding],
    ['znode_count', znodeCount(inspection)],
    ['global_sessions', inspection.sessionCount()],
    ['packets_sent', counters.packetsSent],
    ['packets_received', counters.packetsReceived],
    ['watch_count', inspection.watchCount()],
    ['min_latency', Math.trunc(counters.latencyMinMs)],
    ['max_file_descriptor_count', mostDescriptors()],
    ['approximate_data_size', inspection.approximateDataBytes()],
    ['open_file_descriptor_count', openDescriptors()],
    ['local_sessions', 0],
    ['uptime', Math.trunc(now.monotonicMs - place.startedMonotonicMs)],
    ['max_latency', Math.trunc(counters.latencyMaxMs)],
    ['throttled_ops', counters.throttledOps],
    ['connection_rejected', counters.connectionsRejected],
    ['connection_drop_count', counters.connectionsDropped],
    ['wrong_password_count', counters.wrongPasswords],
    ['digest_mismatches_count', storage.digestMismatches],
    ['stale_sessions_expired', counters.sessionsExpired],
    ['cnt_fsynctime', storage.syncs],
    ['fsync_threshold_exceed_count', storage.slowSyncs],
    ['txns_logged', storage.txnsLogged],
    ['cnt_snapshottime', storage.snapshots],
  ]
  return values
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `zk_${name}\t${value}\n`)
    .join('')
}
