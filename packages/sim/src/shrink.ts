/**
 * From a run that fails, the smallest found that still breaks one of the same rules: fewer clients, fewer classes of
 * faults, fewer operations, one at a time for as long as it helps. The draws of each part have a generator of their own,
 * so that the rest of a run mostly stays what it was.
 */
import type { RunResult, Wanted } from './run.ts'

export interface Shrunk {
  readonly wanted: Wanted
  readonly runs: number
}

/** @param run - must give the same result for the same options */
export async function shrink(
  wanted: Wanted,
  failed: RunResult,
  run: (wanted: Wanted) => Promise<RunResult>,
): Promise<Shrunk> {
  const rules = new Set(failed.violations.map(({ rule }) => rule))
  const { operations, faults, wireClients, libraryClients } = failed.options
  let smallest: Wanted = { operations, faults, clients: wireClients + libraryClients, ...wanted }
  let runs = 0
  const isStillFailing = async (candidate: Wanted): Promise<boolean> => {
    runs++
    return (await run(candidate)).violations.some(({ rule }) => rules.has(rule))
  }
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false
    for (const candidate of smaller(smallest)) {
      if (!(await isStillFailing(candidate))) continue
      smallest = candidate
      isSmaller = true
      break
    }
  }
  return { wanted: smallest, runs }
}

/** The big steps first. */
function* smaller(wanted: Wanted): Generator<Wanted> {
  const { operations = 0, faults = [], clients = 0 } = wanted
  if (clients > 2) yield { ...wanted, clients: Math.floor(clients / 2) }
  if (clients > 1) yield { ...wanted, clients: clients - 1 }
  for (const fault of faults) yield { ...wanted, faults: faults.filter(other => other !== fault) }
  if (operations > 1) yield { ...wanted, operations: Math.floor(operations / 2) }
  if (operations > 4) yield { ...wanted, operations: Math.floor((operations * 3) / 4) }
}
