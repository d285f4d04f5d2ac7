/** Looks at what a server keeps of its connections, through the parts it is made of. For one server at a time. */
import { Accounts } from '../../src/request/accounts.ts'
import type { Connection } from '../../src/session/connection.ts'
import { Connections } from '../../src/session/connections.ts'

export class Probe {
  readonly connections: Connection[] = []
  accounts: Accounts | undefined
  slotsTaken = 0
  readonly #restore: () => void

  constructor() {
    const { add, releaseSlot } = Connections.prototype
    const { countReceived } = Accounts.prototype
    const probe = this
    Connections.prototype.add = function (...given) {
      const connection = add.apply(this, given)
      probe.connections.push(connection)
      probe.slotsTaken++
      return connection
    }
    Connections.prototype.releaseSlot = function (slot) {
      probe.slotsTaken--
      return releaseSlot.call(this, slot)
    }
    Accounts.prototype.countReceived = function (connection) {
      probe.accounts = this
      return countReceived.call(this, connection)
    }
    this.#restore = () => {
      Object.assign(Connections.prototype, { add, releaseSlot })
      Object.assign(Accounts.prototype, { countReceived })
    }
  }

  /** Another server is looked at from now on. */
  reset(): void {
    this.connections.length = 0
    this.accounts = undefined
    this.slotsTaken = 0
  }

  uninstall(): void {
    this.#restore()
  }
}
