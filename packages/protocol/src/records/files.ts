/** The fixed parts of the files on disk. Source: FileTxnLog, FileSnap in the Java server. */

/** "ZKLG", the first four bytes of a txn log. */
export const logMagic = 0x5a4b4c47
/** "ZKSN", the first four bytes of a snapshot. */
export const snapshotMagic = 0x5a4b534e
export const fileVersion = 2

/** magic(4) | version(4) | dbid(8) */
export const fileHeaderBytes = 16

/** checksum(8) | length(4), before the payload of a log record. */
export const logRecordHeadBytes = 12
/** The byte after each payload. */
export const endOfRecord = 0x42

/** czxid, mzxid, ctime, mtime (8 each) | version, cversion, aversion (4 each) | ephemeralOwner(8) | pzxid(8) */
export const statPersistedBytes = 60

/** Adler-32 in a long | the string "/" */
export const sealBytes = 13
