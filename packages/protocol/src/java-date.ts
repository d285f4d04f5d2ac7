/**
 * Times as Java prints them: `EEE MMM dd HH:mm:ss zzz yyyy`, in English.
 *
 * The short name of a zone depends on where one asks: American English knows PST and not CET, British English the
 * other way round. A zone without a short name anywhere is printed as its offset, `GMT+05:45`.
 *
 * Source: java.util.Date.toString.
 *
 * @param timeZone - undefined: that of the process, which is for the outermost callers to choose
 * @returns for milliseconds since the Unix epoch
 */
export function javaDates(timeZone: string | undefined): (ms: number) => string {
  const fields = new Intl.DateTimeFormat('en-US', { timeZone, ...printed })
  // Made when they are needed: all of them take 170 ms, the first time, and most zones are named by the first two.
  const formats: Map<string, Intl.DateTimeFormat> = new Map()
  const nameIn = (locale: string, timeZoneName: 'short' | 'longOffset', ms: number): string => {
    const key = `${locale} ${timeZoneName}`
    const format = formats.get(key) ?? new Intl.DateTimeFormat(locale, { timeZone, timeZoneName })
    formats.set(key, format)
    return partsOf(format, ms)['timeZoneName'] ?? ''
  }
  const zoneName = (ms: number): string => {
    for (const locale of localesWithNames) {
      const name = nameIn(locale, 'short', ms)
      if (/^[A-Z]{3,5}$/.test(name)) return name
    }
    return nameIn('en-US', 'longOffset', ms)
  }
  return ms => {
    if (Math.abs(ms) > mostMs) return `${ms} ms`
    const { weekday, month, day, hour, minute, second, year } = partsOf(fields, ms)
    return `${weekday} ${month} ${day} ${hour}:${minute}:${second} ${zoneName(ms)} ${year}`
  }
}

/** The calendar of this language has no times beyond; Java's goes on. */
const mostMs = 8_640_000_000_000_000

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

function partsOf(format: Intl.DateTimeFormat, ms: number): Readonly<Record<string, string>> {
  return Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, value]))
}
