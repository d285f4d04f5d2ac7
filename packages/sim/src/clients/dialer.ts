/** Connections with a tap on them: whatever a client says or hears goes into the history. */
import type { ConnectionTap, Recorder } from '../history.ts'
import type { End, EndHandler, Network } from '../network.ts'
import { clientAddress } from '../sockets.ts'

export interface Line {
  send(bytes: Uint8Array): void
  setReading(isReading: boolean): void
  /** Hangs up; nothing is told any more. */
  close(): void
}

export interface LineHandler {
  opened(line: Line): void
  received(bytes: Uint8Array): void
  closed(): void
}

/** @returns gives up, if the connection is not open yet, or hangs up */
export function dial(
  network: Network,
  recorder: Recorder | undefined,
  client: string,
  handler: LineHandler,
): () => void {
  let isOver = false
  let line: Line | undefined
  network.connect(end => {
    if (end === undefined) {
      if (!isOver) handler.closed()
      return undefined
    }
    if (isOver) {
      end.abort()
      return undefined
    }
    const tap = recorder?.open(client, clientAddress)
    line = makeLine(end, tap, () => {
      isOver = true
    })
    // Bytes must not come before the client knows the line.
    network.scheduler.after(0, `${client} connected`, () => {
      if (!isOver && line !== undefined) handler.opened(line)
    })
    return {
      received(bytes) {
        if (isOver) return
        tap?.received(bytes)
        handler.received(bytes)
      },
      closed() {
        tap?.closed()
        if (!isOver) handler.closed()
        isOver = true
      },
      unsent() {
        return
      },
    } satisfies EndHandler
  })
  return () => {
    isOver = true
    line?.close()
  }
}

function makeLine(end: End, tap: ConnectionTap | undefined, onClose: () => void): Line {
  return {
    send(bytes) {
      if (end.isGone) return
      tap?.sent(bytes)
      end.send(bytes)
    },
    setReading: isReading => end.setReading(isReading),
    close() {
      tap?.closed()
      onClose()
      end.abort()
    },
  }
}
