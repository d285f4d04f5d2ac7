import { defineConfig } from 'vitest/config'
import { NotRunReport } from './scripts/not-run-report.ts'

// Only the tests see the packages' sources; everything else goes through `dist`, as a user of them does.
const conditions = ['corral-source', 'module', 'node', 'development|production']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ['corral-source', 'node'] } },
  test: {
    environment: 'node',
    reporters: ['default', new NotRunReport()],
    include: ['packages/**/*.test.ts', 'test/**/*.test.ts', 'scripts/**/*.test.ts', 'bench/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    pool: 'forks',
    maxWorkers: 2,
    // They end what hangs. No test may depend on how fast a machine is.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    teardownTimeout: 10_000,
    // A test that never asserts, or a file without a test, is a mistake and not a success.
    passWithNoTests: false,
    allowOnly: false,
    expect: { requireAssertions: true },
  },
})
