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
  /** What a new session costs: with weights that, and not 1, is the unit of `tokens` and `fillCount`. */
  readonly #scale: number
  readonly #mostTokens: number
  #tokens: number
  #lastFillMs: number | undefined = undefined
  #lastFreezeMs = 0
  #dropChance = 0

  constructor(config: Config, random: Random) {
    this.#config = config
    this.#random = random
    this.#scale = config.isWeighted ? config.globalSessionWeight : 1
    this.#mostTokens = config.tokens * this.#scale
    this.#tokens = this.#mostTokens
  }

  /** @returns false if a connect request is to be refused. */
  admit(nowMs: number, { isRenewal }: { readonly isRenewal: boolean }): boolean {
    const config = this.#config
    if (config.tokens <= 0) return true
    this.#fill(nowMs)
    if (this.#isUnlucky(nowMs)) return false
    const cost = config.isWeighted && isRenewal ? config.renewSessionWeight : this.#scale
    if (this.#tokens < cost) return false
    this.#tokens -= cost
    return true
  }

  #fill(nowMs: number): void {
    const config = this.#config
    this.#lastFillMs ??= nowMs
    const passedMs = nowMs - this.#lastFillMs
    if (passedMs <= config.fillTimeMs) return
    this.#lastFillMs = nowMs
    const refill = Math.floor((passedMs * config.fillCount * this.#scale) / config.fillTimeMs)
    this.#tokens = Math.min(this.#mostTokens, this.#tokens + refill)
  }

  #isUnlucky(nowMs: number): boolean {
    const config = this.#config
    if (config.freezeTimeMs < 0) return false
    if (nowMs - this.#lastFreezeMs > config.freezeTimeMs) {
      this.#lastFreezeMs = nowMs
      const used = this.#mostTokens - this.#tokens
      if (this.#tokens === 0) this.#dropChance = Math.min(1, this.#dropChance + config.dropIncrease)
      else if (used <= Math.round(this.#mostTokens * config.decreaseRatio)) {
        this.#dropChance = Math.max(0, this.#dropChance - config.dropDecrease)
      }
    }
    return this.#random.u32() / 0x1_0000_0000 < this.#dropChance
  }
}
