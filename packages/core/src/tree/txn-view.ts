/**
 * A txn read in place: offsets into the log payload instead of objects. One reused view for all txns.
 *
 * Fields that the type does not have keep old values. Ranges are `from` (inclusive) to `to` (exclusive).
 *
 * Source: zookeeper.jute; storage rules for closeSession from SerializeUtils.deserializeTxn in the Java server,
 * decided here by length, so that the writer's settings do not matter.
 */
import {
  digestVersion,
  OpCode,
  type Space,
  smallestAclBytes,
  TxnHead,
  txnDigestBytes,
  txnHeaderBytes,
} from '@corral/protocol'

/** type(4) | body length(4), before each sub-txn of a multi. */
export const subTxnHeadBytes = 8

export class TxnView {
  pathFrom = 0
  pathTo = 0
  /** -1 for null data. */
  dataFrom = -1
  dataTo = -1
  /** The whole vector, count included; `aclCount` -1 is a null list. */
  aclFrom = 0
  aclTo = 0
  aclCount = -1
  isEphemeral = false
  parentCversion = 0
  ttlHigh = 0
  ttlLow = 0
  version = 0
  err = 0
  timeoutMs = 0
  /** multi: sub-txns; closeSession: paths, or -1 if no list was written. The first begins at `listFrom`. */
  count = 0
  listFrom = 0
  #view: DataView = new DataView(new ArrayBuffer(0))
  #at = 0
  #to = 0
  #isWhole = true

  /** Offset after what was read. */
  get end(): number {
    return this.#at
  }

  /**
   * Reads the body of a whole log payload `from` to `to`.
   *
   * @returns false if the bytes cannot be such a txn. Otherwise `end` is where the digest begins, if there is one.
   */
  readPayload(txn: Space, from: number, to: number): boolean {
    if (to - from < txnHeaderBytes) return false
    const type = txn.view.getInt32(from + TxnHead.type)
    this.#begin(txn.view, from + txnHeaderBytes, to)
    if (type === OpCode.CloseSession) this.#closeSession()
    else if (type === OpCode.Multi) this.#multi()
    else if (type === OpCode.Create) this.#createOfAnyAge()
    else this.#body(type)
    return this.#isWhole
  }

  /**
   * As {@link readPayload}, and looks into the sub-txns of a multi too: for bytes that nobody vouches for. The fields
   * are of no use afterwards.
   */
  isSound(txn: Space, from: number, to: number): boolean {
    if (!this.readPayload(txn, from, to)) return false
    if (txn.view.getInt32(from + TxnHead.type) !== OpCode.Multi) return true
    const { count } = this
    for (let i = 0, at = this.listFrom; i < count; i++) {
      const bodyFrom = at + subTxnHeadBytes
      const bodyTo = bodyFrom + txn.view.getInt32(at + 4)
      if (!this.readSubTxn(txn, txn.view.getInt32(at), bodyFrom, bodyTo)) return false
      at = bodyTo
    }
    return true
  }

  /** Reads the body of a sub-txn, which takes all of `from` to `to`. */
  readSubTxn(txn: Space, type: number, from: number, to: number): boolean {
    this.#begin(txn.view, from, to)
    this.#body(type)
    return this.#isWhole
  }

  #begin(view: DataView, from: number, to: number): void {
    this.#view = view
    this.#at = from
    this.#to = to
    this.#isWhole = true
  }

  /** What stands in a log alone and in a multi alike. */
  #body(type: number): void {
    switch (type) {
      case OpCode.Create:
      case OpCode.Create2:
        this.#createdWithOwner()
        this.parentCversion = this.#int32()
        return
      case OpCode.CreateContainer:
        this.#created()
        this.parentCversion = this.#int32()
        return
      case OpCode.CreateTtl:
        this.#created()
        this.parentCversion = this.#int32()
        this.ttlHigh = this.#int32()
        this.ttlLow = this.#int32()
        return
      case OpCode.Delete:
      case OpCode.DeleteContainer:
        return this.#path()
      case OpCode.SetData:
      case OpCode.Reconfig:
        this.#path()
        this.#data()
        this.version = this.#int32()
        return
      case OpCode.SetAcl:
        this.#path()
        this.#acl()
        this.version = this.#int32()
        return
      case OpCode.Check:
        this.#path()
        this.version = this.#int32()
        return
      case OpCode.Error:
        this.err = this.#int32()
        return
      case OpCode.CreateSession:
        this.timeoutMs = this.#int32()
        return
      default:
        return this.#fail()
    }
  }

  #createOfAnyAge(): void {
    this.#createdWithOwner()
    // CreateTxnV0, written before 3.4, ends here.
    this.parentCversion = this.#to - this.#at < 4 ? -1 : this.#int32()
  }

  #createdWithOwner(): void {
    this.#created()
    this.isEphemeral = this.#take(1) >= 0 && this.#view.getInt8(this.#at - 1) !== 0
  }

  #created(): void {
    this.#path()
    this.#data()
    this.#acl()
    this.isEphemeral = false
  }

  #path(): void {
    const length = this.#int32()
    const from = this.#take(length)
    this.pathFrom = from
    this.pathTo = from + length
  }

  #data(): void {
    const length = this.#int32()
    if (length === -1) {
      this.dataFrom = -1
      this.dataTo = -1
      return
    }
    const from = this.#take(length)
    this.dataFrom = from
    this.dataTo = from + length
  }

  #acl(): void {
    this.aclFrom = this.#at
    this.aclCount = this.#int32()
    if (this.aclCount < -1 || this.aclCount * smallestAclBytes > this.#to - this.#at) return this.#fail()
    for (let i = 0; i < this.aclCount && this.#isWhole; i++) {
      this.#take(4)
      this.#skipString()
      this.#skipString()
    }
    this.aclTo = this.#at
  }

  #skipString(): void {
    const length = this.#int32()
    if (length !== -1) this.#take(length)
  }

  #multi(): void {
    this.count = this.#int32()
    this.listFrom = this.#at
    if (this.count < 0 || this.count * subTxnHeadBytes > this.#to - this.#at) return this.#fail()
    for (let i = 0; i < this.count && this.#isWhole; i++) {
      this.#take(4)
      this.#take(this.#int32())
    }
  }

  #closeSession(): void {
    const from = this.#at
    this.count = -1
    if (from === this.#to) return
    const count = this.#int32()
    const isList = count >= 0 && count * 4 <= this.#to - this.#at
    for (let i = 0; isList && i < count && this.#isWhole; i++) this.#take(this.#int32())
    const rest = this.#to - this.#at
    if (
      isList &&
      this.#isWhole &&
      (rest === 0 || (rest === txnDigestBytes && this.#peek() === digestVersion))
    ) {
      this.count = count
      this.listFrom = from + 4
      return
    }
    this.#at = from
    const version = this.#to - from === txnDigestBytes ? this.#peek() : 0
    this.#isWhole = version === 1 || version === digestVersion
  }

  #peek(): number {
    return this.#view.getInt32(this.#at)
  }

  #int32(): number {
    const at = this.#take(4)
    return at < 0 ? 0 : this.#view.getInt32(at)
  }

  /** @returns where the bytes begin, or -1 when there are not so many */
  #take(length: number): number {
    const at = this.#at
    if (!this.#isWhole || length < 0 || length > this.#to - at) {
      this.#isWhole = false
      return -1
    }
    this.#at = at + length
    return at
  }

  #fail(): void {
    this.#isWhole = false
  }
}
