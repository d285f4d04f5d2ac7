/** A TCP connection that a test can break at will: between the client and a server that stays whole. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export class CuttableProxy {
  readonly #server = createServer(client => this.#onClient(client))
  readonly #sockets: Set<Socket> = new Set()
  readonly #targetPort: number
  #isBarred = false
  #isSilent = false

  private constructor(targetPort: number) {
    this.#targetPort = targetPort
  }

  static async to(targetPort: number): Promise<CuttableProxy> {
    const proxy = new CuttableProxy(targetPort)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Breaks each new connection at once. */
  bar(): void {
    this.#isBarred = true
  }

  /** Breaks all connections, and each new one at once. */
  cut(): void {
    this.bar()
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Keeps connections open, and lets nothing of the server through. */
  silence(): void {
    this.#isSilent = true
  }

  mend(): void {
    this.#isBarred = false
    this.#isSilent = false
  }

  async close(): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #onClient(client: Socket): void {
    if (this.#isBarred) {
      client.destroy()
      return
    }
    const server = connect(this.#targetPort, '127.0.0.1')
    this.#join(client, server, () => true)
    this.#join(server, client, () => !this.#isSilent)
  }

  #join(from: Socket, to: Socket, passes: () => boolean): void {
    this.#sockets.add(from)
    from.on('data', bytes => {
      if (passes()) to.write(bytes)
    })
    // A reset is a way to close; `close` follows.
    from.on('error', () => undefined)
    from.on('close', () => {
      this.#sockets.delete(from)
      to.destroy()
    })
  }
}
