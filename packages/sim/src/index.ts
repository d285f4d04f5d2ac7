/** The real server core and the real client on a simulated network, disk and clock; private to this repository. */
export { type Bug, bugs } from './bugs.ts'
export { replayCommand } from './command.ts'
export type { Coverage } from './coverage.ts'
export type { Machine, MakeMachine } from './driver.ts'
export { type FaultClass, faultClasses, type RunOptions } from './options.ts'
export { type Activity, type RunResult, simulate, type Wanted } from './run.ts'
