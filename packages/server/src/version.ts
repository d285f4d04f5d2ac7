/** Corral's own version, and the release of ZooKeeper it answers as. */
export const corralVersion = '0.1.0'
/** `<major>.<minor>.<micro>-<qualifier>, built on <yyyy-MM-dd HH:mm> UTC`: monitoring reads the number before the first `-`. */
export const zooKeeperVersion: string = `3.9.5-corral-${corralVersion}, built on 2026-11-21 00:00 UTC`
