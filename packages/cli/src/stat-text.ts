import { hexText, javaDates, type Stat } from '@corral/protocol'

/** A Stat as zkCli prints it: order and spelling are what scripts read. Source: StatPrinter in the Java shell. */
export function statLines(stat: Stat): string[] {
  const dateOf = javaDates(undefined)
  return [
    `cZxid = ${hexText(stat.czxid)}`,
    `ctime = ${dateOf(stat.ctime)}`,
    `mZxid = ${hexText(stat.mzxid)}`,
    `mtime = ${dateOf(stat.mtime)}`,
    `pZxid = ${hexText(stat.pzxid)}`,
    `cversion = ${stat.cversion}`,
    `dataVersion = ${stat.version}`,
    `aclVersion = ${stat.aversion}`,
    `ephemeralOwner = ${hexText(stat.ephemeralOwner)}`,
    `dataLength = ${stat.dataLength}`,
    `numChildren = ${stat.numChildren}`,
  ]
}
