/** How well a simulated disk behaves, and what became of it. */

export interface DiskOptions {
  readonly meanLatencyMs: number
  readonly meanSyncMs: number
  /** Probability that a sync takes {@link slowSyncMs}. */
  readonly slowSync: number
  readonly slowSyncMs: number
  /** Probability per call of the kind, while the budget lasts. */
  readonly writeError: number
  readonly syncError: number
  readonly readError: number
  readonly noSpace: number
  /** Of a change of names, or of an open: read-only, no permission, too many files. */
  readonly nameError: number
  readonly errorBudget: number
  /** A sync that says yes and does nothing. */
  readonly lostSync: number
  /** Probability that a write reaches the platter elsewhere, whole, and says yes. */
  readonly misdirected: number
  /** Probability that of a file that is in no cache any more a page is read as it once was. */
  readonly staleRead: number
}

export const healthyDisk: DiskOptions = {
  meanLatencyMs: 0.05,
  meanSyncMs: 1,
  slowSync: 0,
  slowSyncMs: 0,
  writeError: 0,
  syncError: 0,
  readError: 0,
  noSpace: 0,
  nameError: 0,
  errorBudget: 0,
  lostSync: 0,
  misdirected: 0,
  staleRead: 0,
}

export interface DiskCounters {
  syncs: number
  writeErrors: number
  syncErrors: number
  readErrors: number
  noSpace: number
  nameErrors: number
  lostSyncs: number
  misdirected: number
  /** Places that rotted. */
  rotten: number
  staleReads: number
  lostFiles: number
  /** Copies made of a living directory. */
  copies: number
  /** Times that an older state of everything came back. */
  restored: number
  kills: number
  powerLosses: number
  /** Pending operations that a power loss took back, wholly or partly. */
  takenBack: number
}

export function noCounts(): DiskCounters {
  return {
    syncs: 0,
    writeErrors: 0,
    syncErrors: 0,
    readErrors: 0,
    noSpace: 0,
    nameErrors: 0,
    lostSyncs: 0,
    misdirected: 0,
    rotten: 0,
    staleReads: 0,
    lostFiles: 0,
    copies: 0,
    restored: 0,
    kills: 0,
    powerLosses: 0,
    takenBack: 0,
  }
}
