/** Failing runs as text. */
import type { Seen } from './decode.ts'
import type { Difference } from './lock-step.ts'
import type { Sent, Step } from './steps.ts'

export function describeDifference(difference: Difference): string {
  const { index, step, sent, oracle, subject } = difference
  const lines = [`step ${index}: ${describeStep(step)}`]
  for (const each of sent) lines.push(`  sent     ${describeSent(each)}`)
  for (const seen of oracle) lines.push(`  oracle   ${describeSeen(seen)}`)
  for (const seen of subject) lines.push(`  subject  ${describeSeen(seen)}`)
  return lines.join('\n')
}

/** The same requests, and the same shape of answers: good enough to be the same mistake. */
export function isAlike(a: Difference, b: Difference): boolean {
  const shape = ({ sent, oracle, subject }: Difference): string =>
    JSON.stringify([
      sent.map(({ request, op }) => [request.kind, op]),
      [oracle, subject].map(seen => seen.map(each => [each.kind, each.kind === 'reply' ? each.err : 0])),
    ])
  return shape(a) === shape(b)
}

export function describeStep(step: Step): string {
  if (step.do === 'send') {
    return `slot ${step.slot}: ${step.sent.map(describeSent).join(' | ')}`
  }
  return JSON.stringify(step)
}

function describeSent(sent: Sent): string {
  const text = JSON.stringify(sent, (_, value) => {
    if (typeof value === 'bigint') return Number(value)
    return value instanceof Uint8Array ? printable(Buffer.from(value).toString('latin1')) : value
  })
  return text.length > 600 ? `${text.slice(0, 600)}…` : text
}

function printable(text: string): string {
  return text.length > 24 ? `${text.slice(0, 24)}… (${text.length})` : text
}

function describeSeen(seen: Seen): string {
  return JSON.stringify(seen)
}
