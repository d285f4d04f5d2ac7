import { hexOf, type Stat } from '@corral/protocol'
import { javaDate } from './java-date.ts'

/** A Stat as zkCli prints it: order and spelling are what scripts read. Source: StatPrinter in the Java shell. */
export function statLines(stat: Stat): string[] {
  return [
    `cZxid = 0x${hexOf(stat.czxid)}`,
    `ctime = ${javaDate(stat.ctime)}`,
    `mZxid = 0x${hexOf(stat.mzxid)}`,
    `mtime = ${javaDate(stat.mtime)}`,
    `pZxid = 0x${hexOf(stat.pzxid)}`,
    `cversion = ${stat.cversion}`,
    `dataVersion = ${stat.version}`,
    `aclVersion = ${stat.aversion}`,
    `ephemeralOwner = 0x${hexOf(stat.ephemeralOwner)}`,
    `dataLength = ${stat.dataLength}`,
    `numChildren = ${stat.numChildren}`,
  ]
}
