import { ErrorCode, Fifo, Xid, type Zxid } from '@corral/protocol'
import { lost } from './call-queue.ts'
import type { Outbox } from './outbox.ts'
import { ProtocolError } from './protocol-error.ts'
import type { CallId } from './session-events.ts'

interface Auth {
  readonly scheme: string
  readonly auth: Uint8Array | null
  /** Who waits for it to be accepted the first time; 0 afterwards. */
  call: CallId
}

/** Who a session is: identities belong to a connection at the server, so each new connection is told all of them. */
export class AuthList {
  readonly #out: Outbox
  readonly #auths: Auth[] = []
  readonly #sent: Fifo<Auth> = new Fifo()

  constructor(out: Outbox) {
    this.#out = out
  }

  add(
    call: CallId,
    given: { readonly scheme: string; readonly auth: Uint8Array | null },
    isLive: boolean,
  ): void {
    const auth: Auth = { scheme: given.scheme, auth: given.auth, call }
    // Once for each connection is enough, however often the caller says it.
    const known = this.#auths.findIndex(each => each.call === 0 && isSame(each, auth))
    if (known >= 0) this.#auths.splice(known, 1)
    this.#auths.push(auth)
    if (isLive) this.#send(auth)
  }

  sendAll(): void {
    for (const auth of this.#auths) this.#send(auth)
  }

  #send(auth: Auth): void {
    this.#out.write(Xid.Auth, { kind: 'auth', scheme: auth.scheme, auth: auth.auth })
    this.#sent.push(auth)
  }

  /** Nobody waits for this call any more; the identity stays. */
  abandon(call: CallId): void {
    for (const auth of this.#auths) if (auth.call === call) auth.call = 0
  }

  /** @returns the scheme that the server refused, if it did: the session cannot go on */
  onReply({ zxid, err }: { readonly zxid: Zxid; readonly err: number }): string | undefined {
    const auth = this.#sent.shift()
    if (auth === undefined) throw new ProtocolError('an answer to no authentication')
    if (err !== ErrorCode.Ok) return auth.scheme
    this.#out.settle(auth.call, {
      kind: 'reply',
      xid: Xid.Auth,
      zxid,
      err,
      body: { kind: 'none' },
      watches: 'none',
    })
    auth.call = 0
    return undefined
  }

  /** No server answers: who waits is told, and the identity is presented to the next that does. */
  loseWaiting(why: string): void {
    const outcome = lost(ErrorCode.ConnectionLoss, `${why}; the next server that answers will be told`)
    for (const auth of this.#auths) {
      this.#out.settle(auth.call, outcome)
      auth.call = 0
    }
  }

  /** The connection is gone: what was not answered is sent again with the rest. */
  disconnected(): void {
    this.#sent.drain()
  }

  /** The session is over. */
  end(code: ErrorCode, reason: string): void {
    this.disconnected()
    for (const { call } of this.#auths.splice(0)) this.#out.settle(call, lost(code, reason))
  }
}

function isSame(a: Auth, b: Auth): boolean {
  if (a.scheme !== b.scheme || a.auth?.length !== b.auth?.length) return false
  return a.auth === null || a.auth.every((byte, i) => byte === b.auth?.[i])
}
