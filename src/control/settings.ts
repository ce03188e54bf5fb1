/**
 * What this node asks for: its weight in every service, whether it drains, and where it keeps connections. It follows from
 * the file, from an ordered weight, and from the state of the application and its checks.
 */
import { type ServiceDemand } from "../application/types.ts";
import { type FarmConfig, weightsOf } from "../config/load.ts";
import { WEIGHT_MAX } from "../core/limits.ts";
import { asLastResort } from "../core/weight.ts";
import { type Answer } from "../wire/heartbeat.ts";

/** What became of an order for this node. */
export interface Obeyed {
  code: Answer["code"];
  /** One short sentence: it travels in a heartbeat. */
  text: string;
}

/** What the application and its checks allow. */
export interface Allowed {
  /** The application runs. */
  readonly running: boolean;
  readonly draining: boolean;
  /** By service; one that is not there is not held back. */
  readonly services: Readonly<Record<string, ServiceDemand>>;
}

/** What the membership thread announces, by table number; 0 is presence. */
export interface Announcement {
  readonly weights: number[];
  readonly draining: boolean;
  /** Whether connections stay where this node gives a bucket up. */
  readonly retain: boolean[];
}

export class Settings {
  #config: FarmConfig;
  #weight: number | undefined;
  #allowed: Allowed = { running: true, draining: false, services: {} };
  #announced: string | undefined;

  /** `announce` tells the membership thread; what it was told last is not told again. */
  constructor(
    config: FarmConfig,
    readonly node: string,
    readonly announce: (announcement: Announcement) => void,
  ) {
    this.#config = config;
  }

  /** Takes up the weights of a configuration that was read again. */
  configure(config: FarmConfig): void {
    this.#config = config;
    this.#announceChange();
  }

  /** From here on changes are announced; the membership thread was started with the {@link announcement} as it is now. */
  begin(): void {
    this.#announced = JSON.stringify(this.announcement);
  }

  allow(allowed: Allowed): void {
    this.#allowed = allowed;
    this.#announceChange();
  }

  /** The weight given at run time in place of the file's, if any. */
  get weight(): number | undefined {
    return this.#weight;
  }

  /** Takes up the weight that was ordered in another process of this node. */
  restore(weight: number | undefined): void {
    this.#weight = weight;
  }

  /** Carries out an order. */
  setWeight(value: number): Obeyed {
    if (!Number.isInteger(value) || value < 0 || value > WEIGHT_MAX) {
      return { code: "refused", text: `a weight is a whole number from 0 to ${WEIGHT_MAX}` };
    }
    this.#weight = value;
    this.#announceChange();
    return { code: "done", text: `weight is ${value}` };
  }

  get announcement(): Announcement {
    const { running, draining, services } = this.#allowed;
    const demands = [undefined, ...this.#config.services.map(({ name }) => services[name])];
    return {
      draining,
      weights: weightsOf(this.#config, this.node, this.#weight).map((weight, table) =>
        table === 0 ? weight : running ? demanded(weight, demands[table]) : 0
      ),
      retain: demands.map((demand) => demand?.demand !== "fail"),
    };
  }

  #announceChange(): void {
    const { announcement } = this;
    const text = JSON.stringify(announcement);
    if (this.#announced === undefined || text === this.#announced) return;
    this.#announced = text;
    this.announce(announcement);
  }
}

function demanded(configured: number, demand: ServiceDemand | undefined): number {
  const weight = demand?.weight ?? configured;
  if (demand === undefined || demand.demand === "none") return weight;
  return demand.lastResort ? asLastResort(weight) : 0;
}
