/**
 * A token bucket on connect requests that begins to drop at random before it is empty.
 *
 * Source: BlueThrottle in the Java server (after the BLUE queue management algorithm).
 */
import type { ConnectionThrottle as Config } from '../config.ts'
import type { Random } from '../random.ts'

export class ConnectionThrottle {
  readonly #config: Config
  readonly #random: Random
  #tokens: number
  #lastFillMs: number | undefined = undefined
  #lastFreezeMs = 0
  #dropChance = 0

  constructor(config: Config, random: Random) {
    this.#config = config
    this.#random = random
    this.#tokens = config.tokens * (config.isWeighted ? config.globalSessionWeight : 1)
  }

  /** @returns false if a connect request is to be refused. */
  admit(nowMs: number, isRenewal: boolean): boolean {
    const config = this.#config
    if (config.tokens <= 0) return true
    const scale = config.isWeighted ? config.globalSessionWeight : 1
    const most = config.tokens * scale
    this.#fill(nowMs, most, scale)
    if (this.#isUnlucky(nowMs, most)) return false
    const cost = config.isWeighted ? (isRenewal ? config.renewSessionWeight : config.globalSessionWeight) : 1
    if (this.#tokens < cost) return false
    this.#tokens -= cost
    return true
  }

  #fill(nowMs: number, most: number, scale: number): void {
    const config = this.#config
    this.#lastFillMs ??= nowMs
    const fills = Math.floor((nowMs - this.#lastFillMs) / Math.max(1, config.fillTimeMs))
    if (fills <= 0) return
    this.#lastFillMs = nowMs
    this.#tokens = Math.min(most, this.#tokens + fills * config.fillCount * scale)
  }

  #isUnlucky(nowMs: number, most: number): boolean {
    const config = this.#config
    if (config.freezeTimeMs < 0) return false
    if (nowMs - this.#lastFreezeMs > config.freezeTimeMs) {
      this.#lastFreezeMs = nowMs
      if (this.#tokens < most * config.decreaseRatio || this.#tokens === 0) {
        this.#dropChance = Math.min(1, this.#dropChance + config.dropIncrease)
      } else {
        this.#dropChance = Math.max(0, this.#dropChance - config.dropDecrease)
      }
    }
    return this.#random.u32() / 0x1_0000_0000 < this.#dropChance
  }
}
