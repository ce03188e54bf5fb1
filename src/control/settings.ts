/**
 * What this node asks for: its weights, and whether it drains. Orders change it, from here or from any node; the
 * membership thread announces it.
 */
import { type FarmConfig, weightsOf } from "../config/load.ts";
import { WEIGHT_MAX } from "../core/limits.ts";
import { type Answer, type Order } from "../wire/heartbeat.ts";

/** What became of an order for this node. */
export interface Obeyed {
  code: Answer["code"];
  /** One short sentence: it travels in a heartbeat. */
  text: string;
}

export class Settings {
  #config: FarmConfig;
  #draining = false;
  #weight: number | undefined;

  /** `announce` tells the membership thread. */
  constructor(
    config: FarmConfig,
    readonly node: string,
    readonly announce: (weights: number[], draining: boolean) => void,
  ) {
    this.#config = config;
  }

  /** Takes up the weights of a configuration that was read again. */
  configure(config: FarmConfig): void {
    this.#config = config;
    this.announce(this.weights(), this.#draining);
  }

  /** Takes up what orders had set in another process of this node. */
  restore({ draining, weight }: { readonly draining: boolean; readonly weight?: number }): void {
    this.#draining = draining;
    this.#weight = weight;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** The weight given at run time in place of the file's, if any. */
  get weight(): number | undefined {
    return this.#weight;
  }

  /** Weights by service number as the file and orders say; draining is told beside them. */
  weights(): number[] {
    return weightsOf(this.#config, this.node, this.#weight);
  }

  /** Carries out an order. */
  obey({ verb, value }: Pick<Order, "verb" | "value">): Obeyed {
    switch (verb) {
      case "drain":
        if (this.#draining) return { code: "done", text: "was draining already" };
        this.#draining = true;
        break;
      case "resume":
        if (!this.#draining) return { code: "done", text: "was not draining" };
        this.#draining = false;
        break;
      case "weight":
        if (!Number.isInteger(value) || value < 0 || value > WEIGHT_MAX) {
          return { code: "refused", text: `a weight is a whole number from 0 to ${WEIGHT_MAX}` };
        }
        this.#weight = value;
        break;
      default:
        return { code: "refused", text: "no application is configured" };
    }
    this.announce(this.weights(), this.#draining);
    return { code: "done", text: verb === "weight" ? `weight is ${value}` : `${verb} begun` };
  }
}
