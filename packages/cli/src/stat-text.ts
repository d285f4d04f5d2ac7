import { hexOf, javaDates, type Stat } from '@corral/protocol'

/** A Stat as zkCli prints it: order and spelling are what scripts read. Source: StatPrinter in the Java shell. */
export function statLines(stat: Stat): string[] {
  const dateOf = javaDates(undefined)
  return [
    `cZxid = 0x${hexOf(stat.czxid)}`,
    `ctime = ${dateOf(stat.ctime)}`,
    `mZxid = 0x${hexOf(stat.mzxid)}`,
    `mtime = ${dateOf(stat.mtime)}`,
    `pZxid = 0x${hexOf(stat.pzxid)}`,
    `cversion = ${stat.cversion}`,
    `dataVersion = ${stat.version}`,
    `aclVersion = ${stat.aversion}`,
    `ephemeralOwner = 0x${hexOf(stat.ephemeralOwner)}`,
    `dataLength = ${stat.dataLength}`,
    `numChildren = ${stat.numChildren}`,
  ]
}
