/**
 * Walks of a subtree. None is a snapshot: each znode is asked for on its own, and one that goes meanwhile is passed
 * over. Requests are sent ahead of the walk, so that it does not wait a round trip for every znode.
 */
import { type Client, NoNodeError, type WatchListener } from '@corral/client'
import { joinPath } from '@corral/protocol'

export interface WalkOptions {
  readonly signal: AbortSignal | undefined
  /** Set on every znode of the walk. */
  readonly watch?: WatchListener | undefined
  /** Levels below the root of the walk; default all. */
  readonly maxDepth?: number | undefined
}

/** Znodes whose children are asked for ahead. */
const sentAhead = 64

interface Step {
  readonly path: string
  readonly name: string
  readonly depth: number
  readonly isLast: boolean
  children: Promise<readonly string[]> | undefined
}

/** One znode of a walk in pre-order. */
export interface TreeEntry {
  readonly path: string
  /** The path of the walk's root, the name of the others. */
  readonly name: string
  readonly depth: number
  /** None of its siblings follows. */
  readonly isLast: boolean
}

/** Each znode before its children, siblings in the order of their names. @throws NoNodeError for the root only */
export async function* walkTree(
  client: Client,
  root: string,
  options: WalkOptions,
): AsyncGenerator<TreeEntry, void> {
  await client.getData(root, { signal: options.signal, watch: options.watch })
  const walk = new Walk(client, options)
  walk.push([{ path: root, name: root, depth: 0, isLast: true, children: undefined }])
  for (let step = walk.pop(); step !== undefined; step = walk.pop()) {
    const { path, name, depth, isLast } = step
    yield { path, name, depth, isLast }
    walk.push(await walk.childrenOf(step))
  }
}

/**
 * Paths in the order of zkCli's `ls -R`: a znode's children one after the other, then what is below each.
 *
 * Source: ZKUtil.visitSubTreeDFS in the Java client.
 */
export async function* walkPaths(
  client: Client,
  root: string,
  options: WalkOptions,
): AsyncGenerator<string, void> {
  await client.getData(root, { signal: options.signal, watch: options.watch })
  yield root
  const walk = new Walk(client, options)
  walk.push([{ path: root, name: root, depth: 0, isLast: true, children: undefined }])
  for (let step = walk.pop(); step !== undefined; step = walk.pop()) {
    const children = await walk.childrenOf(step)
    for (const { path } of children) {
      options.signal?.throwIfAborted()
      yield path
    }
    walk.push(children)
  }
}

/** Level by level, parents before children. @throws NoNodeError for any that goes meanwhile */
export async function listLevels(
  client: Client,
  root: string,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const paths = [root]
  for (let at = 0; at < paths.length; ) {
    const batch = paths.slice(at, at + sentAhead)
    at += batch.length
    const lists = await Promise.all(batch.map(path => client.getChildren(path, { signal })))
    lists.forEach((names, i) => {
      for (const name of names) paths.push(joinPath(batch[i] ?? root, name))
    })
  }
  return paths
}

/** What is still to be visited, the next on top. */
class Walk {
  readonly #client: Client
  readonly #options: WalkOptions
  readonly #stack: Step[] = []

  constructor(client: Client, options: WalkOptions) {
    this.#client = client
    this.#options = options
  }

  /** In the order in which they are to come. */
  push(steps: readonly Step[]): void {
    for (let i = steps.length - 1; i >= 0; i--) this.#stack.push(steps[i] as Step)
  }

  pop(): Step | undefined {
    const { maxDepth = Number.POSITIVE_INFINITY } = this.#options
    for (const step of this.#stack.slice(-sentAhead).reverse()) {
      if (step.depth < maxDepth) step.children ??= this.#ask(step.path)
    }
    return this.#stack.pop()
  }

  async childrenOf(step: Step): Promise<Step[]> {
    const names = [...((await step.children) ?? [])].sort(byUtf16)
    return names.map((name, i) => ({
      path: joinPath(step.path, name),
      name,
      depth: step.depth + 1,
      isLast: i === names.length - 1,
      children: undefined,
    }))
  }

  #ask(path: string): Promise<readonly string[]> {
    const { signal, watch } = this.#options
    const children = this.#client.getChildren(path, { signal, watch }).catch((error: unknown) => {
      if (error instanceof NoNodeError) return []
      throw error
    })
    // The walk may end before it gets here; where it does get here, it meets the failure itself.
    children.catch(() => undefined)
    return children
  }
}

function byUtf16(a: string, b: string): number {
  return a < b ? -1 : 1
}
