/** A ZooKeeper server in this process. */
export { defaultConfig, type Level, type ServerConfig } from '@corral/core'
export type { EndReason } from './driver.ts'
export type { LogFields, LogLine } from './log-lines.ts'
export { StartError } from './start-error.ts'
export { type DirectoryStorage, type RunningServer, type StartOptions, startServer } from './start-server.ts'
