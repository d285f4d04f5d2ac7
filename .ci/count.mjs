/**
 * Prints the counts of a vitest JSON report as `N passed, N failed[, N skipped]`, and fails unless all is well.
 * A file that could not even be loaded has no test to count, so it is named on a line of its own before.
 */
import { readFileSync } from 'node:fs'

const report = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'))
const skipped = report.numPendingTests + report.numTodoTests

for (const { name, status, assertionResults, message } of report.testResults) {
  if (status === 'failed' && assertionResults.length === 0) console.log(`${name} did not run: ${message}`)
}
console.log(
  `${report.numPassedTests} passed, ${report.numFailedTests} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`,
)
process.exitCode = report.success && report.numPassedTests > 0 ? 0 : 1
