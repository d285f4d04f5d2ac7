/**
 * File descriptors of this process, where the system tells (Linux); undefined elsewhere, and where it does not: to look
 * takes a descriptor, which is just what may be missing.
 */
import { readdirSync, readFileSync } from 'node:fs'

export function openDescriptors(self = '/proc/self'): number | undefined {
  return ifTold(() => readdirSync(`${self}/fd`).length)
}

/** Node has raised the soft limit to the hard one at its start. */
export function mostDescriptors(self = '/proc/self'): number | undefined {
  const limits = ifTold(() => readFileSync(`${self}/limits`, 'latin1'))
  const limit = /^Max open files +([0-9]+)/m.exec(limits ?? '')?.[1]
  return limit === undefined ? undefined : Number(limit)
}

function ifTold<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch {
    return undefined
  }
}
