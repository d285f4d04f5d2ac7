/**
 * Splits a line at blanks. `'…'` and `"…"` hold a word together when they stand at its beginning, and are taken away;
 * there are no escapes and no variables. A quote that is never closed is dropped.
 *
 * Source: ZooKeeperMain.MyCommandOptions.parseCommand in the Java shell.
 */
export function splitWords(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|([^"'\s]\S*)/g)].map(
    ([, inDoubles, inSingles, bare]) => inDoubles ?? inSingles ?? bare ?? '',
  )
}
