/**
 * A time as Java prints it: `EEE MMM dd HH:mm:ss zzz yyyy`, in English.
 *
 * The short name of a zone depends on where one asks: American English knows PST and not CET, British English the
 * other way round. A zone without a short name anywhere is printed as its offset, `GMT+05:45`.
 *
 * @param ms - since the Unix epoch
 * @param timeZone - default the local one
 */
export function javaDate(ms: number, timeZone?: string): string {
  const date = new Date(ms)
  if (Number.isNaN(date.getTime())) return `${ms} ms`
  const parts = partsOf(date, timeZone)
  const { weekday, month, day, hour, minute, second, year } = parts
  return `${weekday} ${month} ${day} ${hour}:${minute}:${second} ${zoneName(date, timeZone)} ${year}`
}

function partsOf(date: Date, timeZone: string | undefined): Record<string, string> {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    weekday: 'short',
    month: 'short',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    year: 'numeric',
    hourCycle: 'h23',
  })
  return Object.fromEntries(format.formatToParts(date).map(({ type, value }) => [type, value]))
}

const localesWithNames = ['en-US', 'en-GB', 'en-AU', 'en-IN', 'en-SG', 'en-ZA', 'ja-JP', 'pt-BR']

function zoneName(date: Date, timeZone: string | undefined): string {
  for (const locale of localesWithNames) {
    const name = nameIn(locale, 'short', date, timeZone)
    if (/^[A-Z]{3,5}$/.test(name)) return name
  }
  return nameIn('en-US', 'longOffset', date, timeZone)
}

function nameIn(
  locale: string,
  timeZoneName: 'short' | 'longOffset',
  date: Date,
  timeZone: string | undefined,
): string {
  const parts = new Intl.DateTimeFormat(locale, { timeZone, timeZoneName }).formatToParts(date)
  return parts.find(({ type }) => type === 'timeZoneName')?.value ?? ''
}
