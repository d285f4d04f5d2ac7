/** Writes log lines as fast as they are read, and no further: a pipe whose reader stands still fills memory otherwise. */
import type { LogLine } from './log-lines.ts'

export const mostUnreadBytes: number = 1024 * 1024

type Stream = Pick<NodeJS.WriteStream, 'writableLength'> & { write(text: string): boolean }

export function logOutput(stream: Stream, render: (line: LogLine) => string): (line: LogLine) => void {
  let leftOut = 0
  return line => {
    if (stream.writableLength >= mostUnreadBytes) {
      leftOut++
      return
    }
    if (leftOut > 0) {
      const what = 'lines were left out, for nobody read the log'
      stream.write(render({ wallMs: line.wallMs, level: 'warn', what, fields: { lines: leftOut } }))
      leftOut = 0
    }
    stream.write(render(line))
  }
}
