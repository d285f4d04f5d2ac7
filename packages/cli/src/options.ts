/**
 * A command's own options: one dash, before, between or after the operands. `-sw` is `-s -w`, `-v3` and `-v=3` are
 * `-v 3` (an option of more letters takes no `=`), `--` ends the options, and a negative number may be a value.
 *
 * Source: DefaultParser of Apache Commons CLI 1.5, which zkCli uses; the messages begin with its exceptions' names.
 */
import { CommandError } from './failure.ts'

export interface OptionSpec {
  readonly name: string
  readonly about: string
  readonly takesValue?: true
}

export interface OptionRules {
  readonly options: readonly OptionSpec[]
  /** Not more than one of the options may be given, and at least one if `required`. */
  readonly choice?: 'optional' | 'required'
}

export interface CommandArguments {
  /** What is not an option. */
  readonly operands: readonly string[]
  has(option: string): boolean
  /** The first value given. */
  value(option: string): string | undefined
  values(option: string): readonly string[]
}

/** @throws CommandError in the words of the Java shell */
export function parseOptions(words: readonly string[], rules: OptionRules): CommandArguments {
  const byName = new Map(rules.options.map(option => [option.name, option]))
  const given = new Map<string, string[]>()
  const operands: string[] = []
  let open: OptionSpec | undefined
  let areOptionsOver = false

  const begin = (option: OptionSpec): void => {
    requireNothingOpen()
    const other =
      rules.choice === undefined ? undefined : [...given.keys()].find(name => name !== option.name)
    if (other !== undefined) throw refuse('AlreadySelected', alreadySelected(option.name, other))
    if (!given.has(option.name)) given.set(option.name, [])
    open = option.takesValue === true ? option : undefined
  }
  const close = (value: string): void => {
    if (open !== undefined) given.get(open.name)?.push(value)
    open = undefined
  }
  const requireNothingOpen = (): void => {
    if (open !== undefined) throw refuse('MissingArgument', `Missing argument for option: ${open.name}`)
  }

  for (const word of words) {
    if (areOptionsOver) operands.push(word)
    else if (word === '--') areOptionsOver = true
    else if (open !== undefined && !looksLikeOption(word, byName)) close(word)
    else if (!word.startsWith('-') || word === '-') operands.push(word)
    else readOptionWord(word, byName, begin, close)
  }
  requireNothingOpen()
  if (rules.choice === 'required' && given.size === 0) {
    throw refuse('MissingOption', `Missing required option: [${rules.options.map(described).join(', ')}]`)
  }
  return {
    operands,
    has: option => given.has(option),
    value: option => given.get(option)?.[0],
    values: option => given.get(option) ?? [],
  }
}

function readOptionWord(
  word: string,
  byName: ReadonlyMap<string, OptionSpec>,
  begin: (option: OptionSpec) => void,
  close: (value: string) => void,
): void {
  const unknown = (): CommandError => refuse('UnrecognizedOption', `Unrecognized option: ${word}`)
  if (word.startsWith('--')) throw unknown()
  const whole = byName.get(word.slice(1))
  if (whole !== undefined) return begin(whole)
  if (word.includes('=')) {
    const option = word.charAt(2) === '=' ? byName.get(word.charAt(1)) : undefined
    if (option?.takesValue !== true) throw unknown()
    begin(option)
    return close(word.slice(3))
  }
  for (let i = 1; i < word.length; i++) {
    const option = byName.get(word.charAt(i))
    if (option === undefined) throw unknown()
    begin(option)
    if (option.takesValue === true && i + 1 < word.length) return close(word.slice(i + 1))
  }
}

/** Whether a word that stands where a value is expected is an option all the same. */
function looksLikeOption(word: string, byName: ReadonlyMap<string, OptionSpec>): boolean {
  if (!word.startsWith('-') || word === '-' || /^-[\d.]+$/.test(word)) return false
  const name = word.slice(1).split('=', 1)[0] ?? ''
  return byName.has(name) || byName.has(name.charAt(0))
}

function alreadySelected(option: string, other: string): string {
  return `The option '${option}' was specified but an option from this group has already been selected: '${other}'`
}

function described(option: OptionSpec): string {
  return `-${option.name} ${option.about}`
}

function refuse(what: string, message: string): CommandError {
  return new CommandError(`org.apache.commons.cli.${what}Exception: ${message}`)
}

/** The options one a line, as Commons CLI's help shows them. */
export function optionHelp(options: readonly OptionSpec[]): string[] {
  const sorted = [...options].sort((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1))
  const heads = sorted.map(({ name, takesValue }) => ` -${name}${takesValue === true ? ' <arg>' : ''}`)
  const width = Math.max(...heads.map(head => head.length)) + 3
  return sorted.map(({ about }, i) => (heads[i] ?? '').padEnd(width) + about)
}
