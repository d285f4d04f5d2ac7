/** A data directory with a past that no client could bring about in a test's time. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { encodeTxn, highWord, lowWord, type SessionId, type TxnBody, txnType, zxid } from '@corral/protocol'
import { FileDisk } from '../../packages/server/src/io/disk.ts'
import { LogHost } from '../../packages/server/test/log-host.ts'

/** Makes `dir`, with these txns in its log and a server stopped behind them. */
export async function writeDataDir(dir: string, txns: readonly TxnBody[]): Promise<void> {
  const files = join(dir, 'version-2')
  mkdirSync(files, { recursive: true })
  const host = new LogHost({})
  const paths = { data: files, log: files, dataRoot: dir, logRoot: dir }
  const disk = new FileDisk({ paths, report: (op, result) => host.report(op, result) })
  await host.use(disk).start()
  for (const body of txns) append(host, body)
  await host.untilDurable()
  await host.stop()
  await disk.close()
}

function append(host: LogHost, body: TxnBody): void {
  const id = zxid(host.log.lastZxid + 1n)
  const header = { session: 0n as SessionId, cxid: 1, zxid: id, timeMs: 1_700_000_000_000 + Number(id) }
  const bytes = encodeTxn({ header: { ...header, type: txnType(body) }, body, digest: undefined })
  const out = host.log.beginTxn()
  out.raw({ bytes, view: new DataView(bytes.buffer, bytes.byteOffset) }, 0, bytes.length)
  host.log.endTxn(highWord(id), lowWord(id))
}
