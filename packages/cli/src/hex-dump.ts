/**
 * Bytes as a table, sixteen a row; nothing for no bytes.
 *
 * Source: ByteBufUtil.prettyHexDump of Netty, which zkCli uses.
 */
export function hexDump(bytes: Uint8Array): string {
  if (bytes.length === 0) return ''
  const rows = []
  for (let at = 0; at < bytes.length; at += rowBytes) rows.push(row(bytes.subarray(at, at + rowBytes), at))
  return [head, ...rows, rule].join('\n')
}

const rowBytes = 16
const cells = '-'.repeat(rowBytes * 3 + 1)
const rule = `+--------+${cells}+${'-'.repeat(rowBytes)}+`
const columns = Array.from({ length: rowBytes }, (_, i) => `  ${i.toString(16)}`).join('')
const head = [`         +${cells}+`, `         |${columns} |`, rule].join('\n')

function row(bytes: Uint8Array, at: number): string {
  const hex = [...bytes].map(byte => ` ${byte.toString(16).padStart(2, '0')}`).join('')
  const text = [...bytes].map(byte => (isPrintable(byte) ? String.fromCharCode(byte) : '.')).join('')
  const offset = at.toString(16).padStart(8, '0')
  return `|${offset}|${hex.padEnd(rowBytes * 3)} |${text.padEnd(rowBytes)}|`
}

function isPrintable(byte: number): boolean {
  return byte > 0x1f && byte < 0x7f
}
