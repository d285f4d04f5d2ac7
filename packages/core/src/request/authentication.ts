/**
 * Who a connection is: takes the packets that say so, answers them, and bars whoever has none of the schemes that are
 * enforced. What a packet adds counts for all that comes behind it, though the answer waits for its turn.
 *
 * Source: ZooKeeperServer.processPacket and AuthenticationHelper in the Java server.
 */
import { ErrorCode, OpCode, type RequestView, type Writer } from '@corral/protocol'
import type { AuthConfig } from '../config.ts'
import { type AuthId, addIds, authenticate, nameOfScheme } from '../session/auth-ids.ts'
import type { Connection } from '../session/connection.ts'
import { beginReply, endReply } from './reply.ts'

export class Authentication {
  readonly #config: AuthConfig
  readonly #sha1: (bytes: Uint8Array) => Uint8Array

  constructor(config: AuthConfig, sha1: (bytes: Uint8Array) => Uint8Array) {
    this.#config = config
    this.#sha1 = sha1
  }

  /** Is authentication enforced, and has the connection none of the schemes? */
  isBarred(connection: Connection): boolean {
    const schemes = this.#config.enforcedSchemes
    return schemes !== undefined && !connection.ids.some(id => schemes.includes(id.scheme))
  }

  /** @param request - an auth packet. @returns false if it is refused: the connection must go */
  take(connection: Connection, request: RequestView): boolean {
    const added = this.#idsOf(connection, request)
    if (added === undefined) return false
    connection.ids = addIds(connection.ids, added)
    return true
  }

  /**
   * Writes the reply, which carries zxid 0.
   *
   * @param request - auth or sasl
   * @returns why it is refused, with nothing written: the connection must go
   */
  answer(w: Writer, connection: Connection, request: RequestView): ErrorCode {
    if (request.op === OpCode.Auth && this.#idsOf(connection, request) === undefined)
      return ErrorCode.AuthFailed
    const start = beginReply(w, request.xid, 0, 0)
    if (request.op === OpCode.Sasl) w.int32(-1) // no SASL here: a null token, and the connection stays
    endReply(w, start)
    return ErrorCode.Ok
  }

  #idsOf(connection: Connection, request: RequestView): readonly AuthId[] | undefined {
    const { bytes, dataFrom, dataTo } = request
    return authenticate(
      { config: this.#config, sha1: this.#sha1 },
      connection.peer.address,
      schemeOf(request),
      dataFrom < 0 ? null : bytes.subarray(dataFrom, dataTo),
    )
  }
}

/** For the log. @param request - an auth packet */
export function schemeName(request: RequestView): string {
  return nameOfScheme(schemeOf(request))
}

function schemeOf({ bytes, schemeFrom, schemeTo }: RequestView): Uint8Array | null {
  return schemeFrom < 0 ? null : bytes.subarray(schemeFrom, schemeTo)
}
