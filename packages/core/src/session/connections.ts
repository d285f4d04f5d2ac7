/** The table of connections: by the driver's number, by the slot that watches use, and how many there may be. */
import { assert } from '@corral/protocol'
import type { ServerConfig } from '../config.ts'
import type { ConnId, Now, Peer } from '../events.ts'
import { Connection } from './connection.ts'

export class Connections {
  readonly #byId: Map<ConnId, Connection> = new Map()
  readonly #bySlot: (Connection | undefined)[] = []
  readonly #freeSlots: number[] = []
  readonly #perAddress: Map<string, number> = new Map()

  get size(): number {
    return this.#byId.size
  }

  get(id: ConnId): Connection | undefined {
    return this.#byId.get(id)
  }

  atSlot(slot: number): Connection | undefined {
    return this.#bySlot[slot]
  }

  /** In the order in which they came. */
  all(): IterableIterator<Connection> {
    return this.#byId.values()
  }

  /** @returns the limit that one more connection of this peer would pass, by its key in zoo.cfg */
  limitReachedFor(
    { address }: Peer,
    { maxClientCnxns, maxCnxns }: ServerConfig,
  ): { readonly key: string; readonly limit: number } | undefined {
    if (maxClientCnxns > 0 && this.#countOf(address) >= maxClientCnxns)
      return { key: 'maxClientCnxns', limit: maxClientCnxns }
    return maxCnxns > 0 && this.size >= maxCnxns ? { key: 'maxCnxns', limit: maxCnxns } : undefined
  }

  add(id: ConnId, peer: Peer, now: Now): Connection {
    assert(!this.#byId.has(id), 'the number of a connection is never used again')
    const slot = this.#freeSlots.pop() ?? this.#bySlot.length
    const connection = new Connection({ id, slot, peer, now })
    this.#byId.set(id, connection)
    this.#bySlot[slot] = connection
    this.#perAddress.set(peer.address, this.#countOf(peer.address) + 1)
    return connection
  }

  /** Its slot stays taken until {@link releaseSlot}: somebody may still look for it there, in vain. */
  remove(connection: Connection): void {
    this.#byId.delete(connection.id)
    this.#bySlot[connection.slot] = undefined
    const left = this.#countOf(connection.peer.address) - 1
    if (left > 0) this.#perAddress.set(connection.peer.address, left)
    else this.#perAddress.delete(connection.peer.address)
  }

  releaseSlot(slot: number): void {
    this.#freeSlots.push(slot)
  }

  #countOf(address: string): number {
    return this.#perAddress.get(address) ?? 0
  }
}
