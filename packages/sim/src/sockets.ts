/** The server's ends of its connections, by the numbers under which core knows them. */
import type { ConnId, Event } from '@corral/core'
import type { EndHandler, Network, End as SocketEnd } from './network.ts'
import { Outgoing } from './outgoing.ts'

/** Every client is seen under it. */
export const clientAddress = '10.0.0.1'

export interface Socket {
  readonly conn: ConnId
  readonly end: SocketEnd
  readonly outgoing: Outgoing
}

export class Sockets {
  readonly #network: Network
  readonly #post: (event: Event) => void
  readonly #open: Map<ConnId, Socket> = new Map()
  #lastConn = 0

  /** @param given - post: tells the server */
  constructor(given: { network: Network; post: (event: Event) => void }) {
    this.#network = given.network
    this.#post = given.post
  }

  listen(): void {
    this.#network.listen(end => this.#accept(end))
  }

  /** undefined: core has closed it, or its client has. */
  get(conn: ConnId): Socket | undefined {
    return this.#open.get(conn)
  }

  close(conn: ConnId, how: 'flush' | 'abort'): void {
    const socket = this.#open.get(conn)
    this.#open.delete(conn)
    if (how === 'flush') socket?.end.finish()
    else socket?.end.abort()
  }

  /** The process is gone, or the machine is: then nobody tells the clients. */
  leaveAll(how: 'abort' | 'vanish'): void {
    const sockets = [...this.#open.values()]
    this.#open.clear()
    this.#network.listen(undefined)
    for (const { end } of sockets) {
      if (how === 'vanish') end.vanish()
      else end.abort()
    }
  }

  #accept(end: SocketEnd): EndHandler {
    const conn = ++this.#lastConn
    this.#open.set(conn, { conn, end, outgoing: new Outgoing() })
    this.#post({ kind: 'opened', conn, peer: { address: clientAddress, port: 1024 + (conn % 60_000) } })
    return {
      received: bytes => {
        const copy = new Uint8Array(bytes)
        this.#post({
          kind: 'received',
          conn,
          bytes: copy,
          view: new DataView(copy.buffer),
          from: 0,
          to: copy.length,
        })
      },
      closed: () => {
        if (this.#open.delete(conn)) this.#post({ kind: 'closed', conn })
      },
      unsent: lengthBytes => {
        if (this.#open.has(conn)) this.#post({ kind: 'unsent', conn, lengthBytes })
      },
    }
  }
}
