/**
 * The syntax of Java properties files: `key=value`, `key: value` or `key value`, `#` and `!` comments, a trailing
 * backslash continues a line, `\t \n \r \f \uXXXX` escapes. Keys and values are trimmed, as ZooKeeper does.
 *
 * Source: java.util.Properties.load.
 */

export interface Property {
  readonly key: string
  readonly value: string
  /** Where it begins, from 1. */
  readonly line: number
}

export interface PropertiesText {
  /** In the order of the text; a key may occur twice, the last one counts. */
  readonly properties: readonly Property[]
  readonly malformed: readonly { readonly line: number; readonly problem: string }[]
}

/** @param text - the file's bytes as latin1, one char per byte */
export function parseProperties(text: string): PropertiesText {
  const properties: Property[] = []
  const malformed: { line: number; problem: string }[] = []
  for (const { line, content } of logicalLines(text.replace(byteOrderMark, ''))) {
    const split = separatorOf(content)
    try {
      const key = trimmed(withoutEscapes(content.slice(0, split.keyEnd)))
      const value = trimmed(withoutEscapes(content.slice(split.valueStart)))
      properties.push({ key, value, line })
    } catch (error) {
      if (!(error instanceof MalformedEscape)) throw error
      malformed.push({ line, problem: error.message })
    }
  }
  return { properties, malformed }
}

/** Of UTF-8, which some editors write: not part of the first key, as which Java takes it. */
const byteOrderMark = /^\u00ef\u00bb\u00bf/

class MalformedEscape extends Error {}

/** Lines without comments and blank ones, continuations joined (leading blanks of a continuation are dropped). */
function* logicalLines(text: string): Generator<{ line: number; content: string }> {
  const lines = text.split(/\r\n|\r|\n/)
  for (let i = 0; i < lines.length; i++) {
    let line = i + 1
    let content = contentOf(lines[i])
    while (isContinued(content)) {
      i++
      content = content.slice(0, -1)
      if (content === '') line = i + 1 // nothing has begun: what follows may be a comment
      content = content === '' ? contentOf(lines[i]) : content + withoutLeadingBlanks(lines[i] ?? '')
    }
    if (content !== '') yield { line, content }
  }
}

/** Of a line that begins something: nothing if it is a comment. */
function contentOf(line: string | undefined): string {
  const content = withoutLeadingBlanks(line ?? '')
  return /^[#!]/.test(content) ? '' : content
}

function withoutLeadingBlanks(line: string): string {
  return line.replace(/^[ \t\f]+/, '')
}

/** An odd number of backslashes at the end: the last of them is not itself escaped. */
function isContinued(content: string): boolean {
  let backslashes = 0
  while (content.at(-1 - backslashes) === '\\') backslashes++
  return backslashes % 2 === 1
}

/** The key ends at the first unescaped `=`, `:` or blank; one separator and the blanks around it are skipped. */
function separatorOf(content: string): { keyEnd: number; valueStart: number } {
  let keyEnd = 0
  while (keyEnd < content.length && !/[=: \t\f]/.test(content.charAt(keyEnd))) {
    keyEnd += content.charAt(keyEnd) === '\\' ? 2 : 1
  }
  const separator = /^[ \t\f]*[=:]?[ \t\f]*/.exec(content.slice(keyEnd))
  return { keyEnd, valueStart: keyEnd + (separator?.[0].length ?? 0) }
}

const escapes: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

function withoutEscapes(text: string): string {
  return text.replace(/\\(u.{0,4}|.|$)/gs, (_whole, escaped: string) => {
    if (!escaped.startsWith('u')) return escapes[escaped] ?? escaped
    if (!/^u[0-9a-fA-F]{4}$/.test(escaped)) throw new MalformedEscape('Malformed \\uxxxx encoding.')
    return String.fromCharCode(Number.parseInt(escaped.slice(1), 16))
  })
}

/** As Java trims: controls and blanks, and not the blanks of other alphabets. */
function trimmed(text: string): string {
  let [from, to] = [0, text.length]
  while (from < to && text.charCodeAt(from) <= 0x20) from++
  while (from < to && text.charCodeAt(to - 1) <= 0x20) to--
  return text.slice(from, to)
}
