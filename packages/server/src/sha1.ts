/** For the digest scheme. Loaded at its first use: most servers never see a password. */
export function sha1(bytes: Uint8Array): Uint8Array {
  const { createHash } = process.getBuiltinModule('node:crypto')
  return new Uint8Array(createHash('sha1').update(bytes).digest())
}
