/** Strings are made and read here only: `core` has no `Buffer` and keeps text as bytes. */

const replacement = '\ufffd'

/** @returns the text; malformed input becomes U+FFFD exactly where the Java server's decoder puts it */
export function decodeUtf8(bytes: Uint8Array, from = 0, to: number = bytes.length): string {
  const text = decodePlain(bytes, from, to)
  return text.includes(replacement) ? decodeSurrogates(bytes, from, to) : text
}

function decodePlain(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('utf8')
}

/**
 * The one difference between the decoders of Java and of Node: an encoded surrogate (ED A0..BF, then mostly a
 * continuation byte) is one U+FFFD in Java and one for each byte in Node. Such bytes do come: the Java client encodes
 * every character above U+FFFF as two of them.
 */
function decodeSurrogates(bytes: Uint8Array, from: number, to: number): string {
  let text = ''
  let plainFrom = from
  for (let i = from; i + 1 < to; i++) {
    if (bytes[i] !== 0xed || ((bytes[i + 1] as number) & 0xe0) !== 0xa0) continue
    text += decodePlain(bytes, plainFrom, i) + replacement
    i += i + 2 < to && ((bytes[i + 2] as number) & 0xc0) === 0x80 ? 2 : 1
    plainFrom = i + 1
  }
  return text + decodePlain(bytes, plainFrom, to)
}

export function encodeUtf8(text: string): Uint8Array {
  const encoded = Buffer.from(text, 'utf8')
  return new Uint8Array(encoded.buffer, encoded.byteOffset, encoded.length)
}

export function utf8Length(text: string): number {
  return Buffer.byteLength(text, 'utf8')
}

/** Writes at `at`, which must have room for {@link utf8Length} bytes. @returns bytes written */
export function writeUtf8(text: string, into: Uint8Array, at: number): number {
  return Buffer.from(into.buffer, into.byteOffset, into.length).write(text, at, 'utf8')
}

/** Standard Base64 with padding. */
export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
}
