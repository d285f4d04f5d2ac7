/** The whole server except its hands: no I/O, no clock, no chance, no promises. */
export * from './config.ts'
export * from './disk.ts'
export * from './effects.ts'
export * from './events.ts'
export * from './inspect.ts'
export * from './random.ts'
