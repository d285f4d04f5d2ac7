/** What a run has learned, put in place of what its steps could not know: names, versions and the present zxid. */
import { anyVersion, type MultiOp, type MultiReadOp, type Request, zxid } from '@corral/protocol'
import type { SeenBody } from './decode.ts'
import type { WatchClass } from './divergences.ts'
import { isJavaBefore } from './java-release.ts'
import { madePrefix, type Sent, seenVersion } from './steps.ts'

export class Placeholders {
  /** Paths of sequential znodes, in the order in which they were made. */
  readonly #made: string[] = []
  /** Of each path, the version seen last. */
  readonly #versions = new Map<string, number>()

  /** From a request that was granted. */
  learn(request: Request, body: SeenBody): void {
    if (!('path' in request)) return
    const { stat, path: made } = body
    if (stat !== undefined) {
      this.#versions.set(request.path, request.kind === 'setAcl' ? stat.aversion : stat.version)
    }
    if (typeof made === 'string' && request.kind !== 'sync' && made.length > request.path.length) {
      this.#made.push(Buffer.from(made, 'latin1').toString('utf8'))
    }
  }

  /** @param now - the newest zxid that either server has spoken of */
  resolve(sent: Sent, now: number): Sent {
    const { request } = sent
    return {
      ...sent,
      request:
        request.kind === 'setWatches' ? this.#resolveSetWatches(request, now) : this.#resolveRequest(request),
    }
  }

  #resolveRequest(request: Request): Request {
    switch (request.kind) {
      case 'multi':
        return { kind: 'multi', ops: request.ops.map(op => this.#resolveRequest(op) as MultiOp) }
      case 'multiRead':
        return { kind: 'multiRead', ops: request.ops.map(op => this.#resolveRequest(op) as MultiReadOp) }
      case 'delete':
      case 'setData':
      case 'setAcl':
      case 'check': {
        const path = this.#resolvePath(request.path)
        const version =
          request.version === seenVersion ? (this.#versions.get(path) ?? anyVersion) : request.version
        return { ...request, path, version }
      }
      default:
        return 'path' in request ? { ...request, path: this.#resolvePath(request.path) } : request
    }
  }

  /** Before 3.9 each path in lists of one class only: the last would stay. */
  #resolveSetWatches(request: Request & { kind: 'setWatches' }, now: number): Request {
    const classes = new Map<string, WatchClass>()
    const list = (paths: readonly string[], watchClass: WatchClass): string[] =>
      paths
        .map(path => this.#resolvePath(path))
        .filter(path => {
          const held = classes.get(path) ?? watchClass
          classes.set(path, held)
          return held === watchClass || !isJavaBefore('3.9.0')
        })
    const back = BigInt(now) + request.relativeZxid + 1n
    return {
      kind: 'setWatches',
      relativeZxid: zxid(back < 0n ? 0n : back),
      data: list(request.data, 'standard'),
      exist: list(request.exist, 'standard'),
      child: list(request.child, 'standard'),
      ...(request.persistent === undefined
        ? {}
        : {
            persistent: {
              plain: list(request.persistent.plain, 'persistent'),
              recursive: list(request.persistent.recursive, 'recursive'),
            },
          }),
    }
  }

  #resolvePath(path: string): string {
    if (!path.startsWith(madePrefix)) return path
    const cut = path.indexOf('/')
    const number = Number(path.slice(madePrefix.length, cut < 0 ? undefined : cut))
    const made = this.#made.length === 0 ? '/a' : (this.#made[number % this.#made.length] as string)
    return cut < 0 ? made : made + path.slice(cut)
  }
}
