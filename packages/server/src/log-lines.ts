/**
 * Log lines: one event, one line, whatever a peer put into it. Text for people on a terminal, JSON for programs. Fields
 * are escaped and cut; no secret is ever a field.
 */
import type { Fields, Level } from '@corral/core'

/** What a line is about, by name. */
export type LogFields = Fields

/** One event, as data: whoever gets it decides how it is written, and escapes what peers have put into it. */
export interface LogLine {
  /** Since the Unix epoch. */
  readonly wallMs: number
  readonly level: Level
  /** What happened: stable words, the same for every event of the kind. */
  readonly what: string
  readonly fields: LogFields
}

/** Whoever has something to say: the line gets its time later. */
export type Say = (level: Level, what: string, fields: LogFields) => void

/** Gives each line the time at which it is said. */
export function sayTo(onLog: (line: LogLine) => void): Say {
  return (level, what, fields) => onLog({ wallMs: Date.now(), level, what, fields })
}

const longestText = 300
/** Our own words, stack traces among them. */
const longestOwnText = 6000

/** @returns one line with its end */
export function jsonLine({ wallMs, level, what, fields }: LogLine): string {
  const line: Record<string, string | number> = { time: new Date(wallMs).toISOString(), level, what }
  for (const [name, value] of Object.entries(fields)) line[name] = jsonValue(value, longestOf(name))
  return `${escapeUnprintable(JSON.stringify(line))}\n`
}

/** @returns one line with its end: `2026-11-21 11:09:05,123 INFO  what happened name=value …`, in local time */
export function textLine({ wallMs, level, what, fields }: LogLine): string {
  const time = localTime(new Date(wallMs))
  const sentence = sentences[what]?.(fields) ?? [what, ...Object.entries(fields).map(textField)].join(' ')
  return `${time} ${level.toUpperCase().padEnd(5)} ${escapeUnprintable(sentence)}\n`
}

function localTime(date: Date): string {
  const day = [date.getFullYear(), twoDigits(date.getMonth() + 1), twoDigits(date.getDate())].join('-')
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(':')
  return `${day} ${time},${String(date.getMilliseconds()).padStart(3, '0')}`
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}

/** Lines whose fields read better as a sentence. */
const sentences: Readonly<Record<string, (fields: LogFields) => string>> = {
  serving: ({ version, host, port, data, startedInMs }) =>
    `corral ${version} serves ${String(host).includes(':') ? `[${host}]` : host}:${port} (data in ${cut(String(data))}, started in ${startedInMs} ms)`,
  configuration: ({ where, key, message }) =>
    cut(`${where}: ${sentenceOf({ key: String(key), message: String(message) })}`),
}

/** What is said about a key, which many messages name themselves. */
export function sentenceOf({ key, message }: { readonly key: string; readonly message: string }): string {
  if (message.startsWith(key)) return message
  return /^[a-z]/.test(message) ? `${key} ${message}` : `${key}: ${message}`
}

function textField([name, value]: [string, string | number | bigint]): string {
  const text = cut(String(value), longestOf(name))
  return `${name}=${/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)}`
}

/** JSON numbers of programs end at 2^53. */
function jsonValue(value: string | number | bigint, longest: number): string | number {
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  return cut(String(value), longest)
}

function longestOf(name: string): number {
  return name === 'error' || name === 'reason' ? longestOwnText : longestText
}

/** Names the length of what it cuts. */
export function cut(text: string, longest: number = longestText): string {
  if (text.length <= longest) return text
  return `${text.slice(0, longest)}… (${text.length} chars)`
}

/**
 * Controls (C0, DEL, C1), line and paragraph separators, marks that reorder or hide text, and halves of surrogate pairs
 * become `\uXXXX`, which JSON reads back as what they were.
 */
const unprintable =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

export function escapeUnprintable(text: string): string {
  return text.replace(unprintable, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

const severity: Readonly<Record<Level, number>> = { debug: 0, info: 1, warn: 2, error: 3 }

export function isAtLeast(level: Level, threshold: Level): boolean {
  return severity[level] >= severity[threshold]
}
