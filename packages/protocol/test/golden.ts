/** The golden bytes under test/golden, as the tests of this package use them. */
import { readFileSync } from 'node:fs'

export interface ClientVector {
  readonly id: string
  readonly title: string
  readonly frames: readonly {
    readonly from: 'client' | 'server'
    readonly hex: string
    /** The fields in order, ` | ` between them. */
    readonly fields: string
  }[]
}

export interface NamedBytes {
  readonly at: number
  readonly hex: string
  readonly says: string
}

export interface StorageVectors {
  readonly log: readonly {
    readonly id: string
    readonly title: string
    readonly fields: readonly NamedBytes[]
  }[]
  readonly snapshot: { readonly head: readonly NamedBytes[]; readonly tail: readonly NamedBytes[] }
  readonly trailers: readonly { readonly title: string; readonly hex: readonly string[] }[]
  readonly digest: {
    readonly node: {
      readonly path: string
      readonly data: string
      readonly stat: string
      readonly crc32: string
    }
    readonly trees: readonly {
      readonly zxid: number
      readonly nodes: readonly string[]
      readonly tree: string
    }[]
  }
}

export interface JavaText {
  readonly bytes: string
  readonly units: string
  readonly stored: string
  readonly problem: string | null
}

export function clientVectors(): readonly ClientVector[] {
  return (golden('client-vectors.json') as { vectors: readonly ClientVector[] }).vectors
}

export function storageVectors(): StorageVectors {
  return golden('storage-vectors.json') as StorageVectors
}

/** What the Java server makes of byte strings. */
export function javaTexts(): readonly JavaText[] {
  return (golden('java-text.json') as { strings: readonly JavaText[] }).strings
}

function golden(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../../test/golden/${name}`, import.meta.url), 'utf8'))
}

/** Blanks are left out. */
export function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
}

export function hexOfBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
