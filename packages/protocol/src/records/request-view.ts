/**
 * A request read in place: offsets into the frame instead of objects, one reused view for all requests.
 *
 * The view is valid until the frame's memory changes. Fields that the opcode does not have keep old values. Strings
 * and buffers are ranges `from` (inclusive) to `to` (exclusive); a null one has `from` = -1 and `to` = -1.
 */
import { OpCode } from '../codes.ts'
import { multiHeaderBytes, smallestAclBytes } from './data.ts'

export class RequestView {
  bytes: Uint8Array = new Uint8Array(0)
  view: DataView = new DataView(new ArrayBuffer(0))
  xid = 0
  op = 0
  pathFrom = -1
  pathTo = -1
  dataFrom = -1
  dataTo = -1
  /** The ACL's whole vector, count included; `aclCount` is -1 for a null list. */
  aclFrom = -1
  aclTo = -1
  aclCount = -1
  /** create: flags. addWatch: mode. checkWatches, removeWatches: type. */
  flags = 0
  version = 0
  ttlHigh = 0
  ttlLow = 0
  isWatching = false
  /** auth: the scheme. */
  schemeFrom = -1
  schemeTo = -1
  /** The body that is left to its own reader (setWatches, multi): from here to {@link bodyTo}. */
  bodyFrom = 0
  bodyTo = 0
  #at = 0

  /** Offset after the last field read: where the next op of a multi starts. */
  get at(): number {
    return this.#at
  }

  /**
   * Reads header and body of the frame.
   *
   * @returns false if the body ends too early or a length is impossible; xid and op are set all the same. The frame
   * must have the 8 bytes of the header.
   */
  readFrame(bytes: Uint8Array, view: DataView, from: number, to: number): boolean {
    this.bytes = bytes
    this.view = view
    this.xid = view.getInt32(from)
    this.op = view.getInt32(from + 4)
    return this.readBody(this.op, from + 8, to)
  }

  /** Reads a body of `op` in the same memory; used for the ops of a multi. `readFrame` came before. */
  readBody(op: number, from: number, to: number): boolean {
    this.#at = from
    this.bodyFrom = from
    this.bodyTo = to
    switch (op) {
      case OpCode.GetData:
      case OpCode.Exists:
      case OpCode.GetChildren:
      case OpCode.GetChildren2:
        return this.#path() && this.#watch()
      case OpCode.SetData:
        return this.#path() && this.#data() && this.#version()
      case OpCode.Create:
      case OpCode.Create2:
      case OpCode.CreateContainer:
        return this.#path() && this.#data() && this.#acl() && this.#flags()
      case OpCode.CreateTtl:
        return this.#path() && this.#data() && this.#acl() && this.#flags() && this.#ttl()
      case OpCode.Delete:
      case OpCode.Check:
        return this.#path() && this.#version()
      case OpCode.SetAcl:
        return this.#path() && this.#acl() && this.#version()
      case OpCode.GetAcl:
      case OpCode.Sync:
      case OpCode.GetEphemerals:
      case OpCode.GetAllChildrenNumber:
        return this.#path()
      case OpCode.AddWatch:
      case OpCode.CheckWatches:
      case OpCode.RemoveWatches:
        return this.#path() && this.#flags()
      case OpCode.Auth:
        return this.#auth()
      case OpCode.Sasl:
        return this.#data()
      case OpCode.Reconfig:
        return this.#skipString() && this.#skipString() && this.#skipString() && this.bodyTo - this.#at >= 8
      default:
        return true // no body, or one with a reader of its own
    }
  }

  /**
   * Reads the header before an op of a multi at `at`.
   *
   * @returns its type, with {@link at} behind the header; undefined at the end mark; false if it is cut short
   */
  readMultiHeader(at: number, to: number): number | undefined | false {
    if (to - at < multiHeaderBytes) return false
    this.#at = at + multiHeaderBytes
    return this.bytes[at + 4] === 0 ? this.view.getInt32(at) : undefined
  }

  #path(): boolean {
    const length = this.#length()
    this.pathFrom = length < 0 ? -1 : this.#at
    this.pathTo = length < 0 ? -1 : this.#at + length
    if (length > 0) this.#at += length
    return length >= -1
  }

  #data(): boolean {
    const length = this.#length()
    this.dataFrom = length < 0 ? -1 : this.#at
    this.dataTo = length < 0 ? -1 : this.#at + length
    if (length > 0) this.#at += length
    return length >= -1
  }

  #auth(): boolean {
    if (this.bodyTo - this.#at < 4) return false
    this.#at += 4 // the type, always 0
    const length = this.#length()
    if (length < -1) return false
    this.schemeFrom = length < 0 ? -1 : this.#at
    this.schemeTo = length < 0 ? -1 : this.#at + length
    if (length > 0) this.#at += length
    return this.#data()
  }

  #acl(): boolean {
    const from = this.#at
    if (this.bodyTo - from < 4) return false
    const count = this.view.getInt32(from)
    this.#at = from + 4
    this.aclFrom = from
    this.aclCount = count
    if (count * smallestAclBytes > this.bodyTo - this.#at) return false
    for (let i = 0; i < count; i++) {
      if (this.bodyTo - this.#at < 4) return false
      this.#at += 4
      if (!this.#skipString() || !this.#skipString()) return false
    }
    this.aclTo = this.#at
    return true
  }

  #skipString(): boolean {
    const length = this.#length()
    if (length > 0) this.#at += length
    return length >= -1
  }

  /** @returns the length; -1 for null; -2 if it cannot be right. `#at` moves behind the length word. */
  #length(): number {
    if (this.bodyTo - this.#at < 4) return -2
    const length = this.view.getInt32(this.#at)
    this.#at += 4
    return length < -1 || length > this.bodyTo - this.#at ? -2 : length
  }

  #watch(): boolean {
    if (this.bodyTo - this.#at < 1) return false
    this.isWatching = this.bytes[this.#at] !== 0
    this.#at += 1
    return true
  }

  #version(): boolean {
    if (this.bodyTo - this.#at < 4) return false
    this.version = this.view.getInt32(this.#at)
    this.#at += 4
    return true
  }

  #flags(): boolean {
    if (this.bodyTo - this.#at < 4) return false
    this.flags = this.view.getInt32(this.#at)
    this.#at += 4
    return true
  }

  #ttl(): boolean {
    if (this.bodyTo - this.#at < 8) return false
    this.ttlHigh = this.view.getInt32(this.#at)
    this.ttlLow = this.view.getInt32(this.#at + 4)
    this.#at += 8
    return true
  }
}
