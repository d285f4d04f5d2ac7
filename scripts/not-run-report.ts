/** After the tests, where it is not overlooked: what was not run, and the line that changes it. */
import type { Reporter, TestModule } from 'vitest/node'

export class NotRunReport implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    process.stderr.write(notRunText(modules.flatMap(skippedIn)))
  }
}

export interface Skipped {
  readonly name: string
  /** `what is missing; the line that installs it`, for as many things as are missing, divided by `; `. */
  readonly reason: string
}

/** Only what gives a reason: tests that a filter leaves out are nobody's loss. */
function skippedIn(module: TestModule): Skipped[] {
  const skipped: Skipped[] = []
  for (const test of module.children.allTests('skipped')) {
    const result = test.result()
    if (result.state !== 'skipped' || result.note === undefined) continue
    skipped.push({ name: `${module.relativeModuleId}: ${test.fullName}`, reason: result.note })
  }
  return skipped
}

export function notRunText(skipped: readonly Skipped[]): string {
  if (skipped.length === 0) return ''
  const names = skipped.map(({ name }) => `    ${name}\n`)
  const reasons = [...new Set(skipped.flatMap(({ reason }) => reason.split('; ')))]
  const installed = reasons.filter(each => each.startsWith(apt)).map(each => each.slice(apt.length))
  const others = reasons.filter(each => !each.startsWith(apt))
  const install = installed.length === 0 ? '' : `  To run them:  ${apt}${installed.join(' ')}\n`
  return `\n  NOT RUN:\n${names.join('')}  because\n${others.map(each => `    ${each}\n`).join('')}${install}\n`
}

const apt = 'apt-get install '
