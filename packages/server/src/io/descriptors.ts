/** File descriptors of this process, where the system tells (Linux); undefined elsewhere. */
import { readdirSync, readFileSync } from 'node:fs'

export function openDescriptors(): number | undefined {
  return process.platform === 'linux' ? readdirSync('/proc/self/fd').length : undefined
}

/** Node has raised the soft limit to the hard one at its start. */
export function mostDescriptors(): number | undefined {
  if (process.platform !== 'linux') return undefined
  const limit = /^Max open files +([0-9]+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
  return limit === undefined ? undefined : Number(limit)
}
