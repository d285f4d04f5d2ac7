import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defaultConfig } from '@corral/core'
import { afterEach, expect, test } from 'vitest'
import { startServer } from '../start-server.ts'
import { repairLog } from './repair-log.ts'

const made: string[] = []

afterEach(() => {
  for (const dir of made.splice(0)) rmSync(dir, { recursive: true })
})

const connectRequest = Buffer.from(
  `0000002c${'00'.repeat(12)}00002710${'00'.repeat(8)}00000010${'00'.repeat(16)}`,
  'hex',
)

/** Opens a session, which is a txn. */
function openSession(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(connectRequest))
    socket.once('data', () => {
      socket.destroy()
      resolve()
    })
    socket.on('error', reject)
  })
}

/** A directory whose one log has three txns, the second of which is damaged. */
async function damagedDir(): Promise<{ dataDir: string; log: string; damagedAt: number }> {
  const dataDir = mkdtempSync(join(tmpdir(), 'corral-repair-'))
  made.push(dataDir)
  const server = await startServer({ storage: { dataDir } })
  for (let i = 0; i < 3; i++) await openSession(server.port)
  await server.stop()
  const log = join(dataDir, 'version-2', 'log.1')
  const bytes = readFileSync(log)
  const headBytes = 16
  const damagedAt = headBytes + 12 + bytes.readInt32BE(headBytes + 8) + 1
  const place = damagedAt + 20
  bytes[place] = (bytes[place] ?? 0) ^ 0xff
  writeFileSync(log, bytes)
  return { dataDir, log, damagedAt }
}

function repaired(dataDir: string, isConfirmed: boolean): Promise<{ exitCode: number; printed: string }> {
  const lines: string[] = []
  const options = { config: defaultConfig, dataDir, dataLogDir: dataDir, isConfirmed }
  return repairLog({ ...options, print: line => lines.push(line) }).then(exitCode => ({
    exitCode,
    printed: lines.join('\n'),
  }))
}

test('a server refuses a damaged log, and serves after the repair', async () => {
  const { dataDir, log, damagedAt } = await damagedDir()
  await expect(startServer({ storage: { dataDir } })).rejects.toMatchObject({ exitCode: 10 })

  const { exitCode, printed } = await repaired(dataDir, true)

  expect(exitCode).toBe(0)
  expect(printed).toContain(`bad checksum at byte ${damagedAt}, after zxid 0x1`)
  expect(statSync(log).size).toBe(damagedAt)
  expect(existsSync(join(dataDir, 'version-2/damaged-log.1'))).toBe(true)
  const server = await startServer({ storage: { dataDir } })
  await server.stop()
})

test('nothing is changed without a yes', async () => {
  const { dataDir, log } = await damagedDir()
  const before = [readdirSync(join(dataDir, 'version-2')), readFileSync(log).toString('latin1')]

  const { exitCode, printed } = await repaired(dataDir, false)

  expect(exitCode).toBe(1)
  expect(printed).toContain('Nothing was changed')
  expect([readdirSync(join(dataDir, 'version-2')), readFileSync(log).toString('latin1')]).toEqual(before)
})

test('whole logs are left alone', async () => {
  const { dataDir } = await damagedDir()
  await repaired(dataDir, true)

  expect(await repaired(dataDir, true)).toMatchObject({
    exitCode: 0,
    printed: expect.stringContaining('no damage found'),
  })
})

test('the logs of a running server are not touched', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'corral-repair-'))
  made.push(dataDir)
  const server = await startServer({ storage: { dataDir } })

  await expect(repaired(dataDir, true)).rejects.toMatchObject({ exitCode: 3 })
  await server.stop()
})

test('a directory without data is no failure of the disk, but the wrong one', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'corral-repair-'))
  made.push(dataDir)

  await expect(repaired(dataDir, false)).rejects.toMatchObject({
    exitCode: 3,
    message: `data directory ${dataDir}/version-2 cannot be used: it does not exist (ENOENT)`,
  })
})

test('a directory that is not there is named', async () => {
  await expect(repaired('/nowhere/data', false)).rejects.toMatchObject({
    exitCode: 3,
    message: 'data directory /nowhere/data cannot be used: it does not exist (ENOENT)',
  })
})
