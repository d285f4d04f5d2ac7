/** This package's version, as in its package.json. */
export const corralVersion = '0.1.0'
/** What `version` says: the release of ZooKeeper whose shell this is like, for scripts that look at the number. */
export const shellVersion: string = `3.9.5-corral-${corralVersion}`
