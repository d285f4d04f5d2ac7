/** A server's bytes that cannot be right; breaks the connection. */
export class ProtocolError extends Error {
  override readonly name: string = 'ProtocolError'
}
