/**
 * Times as Java prints them: `EEE MMM dd HH:mm:ss zzz yyyy`, in English.
 *
 * The short name of a zone depends on where one asks: American English knows PST and not CET, British English the
 * other way round. A zone without a short name anywhere is printed as its offset, `GMT+05:45`.
 *
 * @param timeZone - undefined: that of the process
 * @returns for milliseconds since the Unix epoch
 */
export function javaDates(timeZone: string | undefined): (ms: number) => string {
  const fields = new Intl.DateTimeFormat('en-US', { timeZone, ...printed })
  const names = localesWithNames.map(
    locale => new Intl.DateTimeFormat(locale, { timeZone, timeZoneName: 'short' }),
  )
  const offsets = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' })
  return ms => {
    const { weekday, month, day, hour, minute, second, year } = partsOf(fields, ms)
    const name = names.map(format => partsOf(format, ms)['timeZoneName'] ?? '').find(isName)
    const zone = name ?? partsOf(offsets, ms)['timeZoneName']
    return `${weekday} ${month} ${day} ${hour}:${minute}:${second} ${zone} ${year}`
  }
}

const printed: Intl.DateTimeFormatOptions = {
  weekday: 'short',
  month: 'short',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  year: 'numeric',
  hourCycle: 'h23',
}

const localesWithNames = ['en-US', 'en-GB', 'en-AU', 'en-IN', 'en-SG', 'en-ZA', 'ja-JP', 'pt-BR']

function isName(name: string): boolean {
  return /^[A-Z]{3,5}$/.test(name)
}

function partsOf(format: Intl.DateTimeFormat, ms: number): Readonly<Record<string, string>> {
  return Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, value]))
}
