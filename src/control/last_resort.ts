/** Tells when a service is left to nodes whose own checks fail, since there are no others. */
import { type FarmEventInit } from "../core/events.ts";
import { isLastResort } from "../core/weight.ts";
import { type ClaimsBasis } from "../membership/types.ts";

/** By service number: whether whoever can serve it is a last resort. Pure. */
export function lastResorts({ ownWeights, members }: ClaimsBasis, services: number): boolean[] {
  return Array.from({ length: services }, (_, index) => {
    const weights = [ownWeights, ...members.map(({ weights }) => weights)].map((each) =>
      each[index + 1] ?? 0
    );
    const able = weights.filter((weight) => weight > 0);
    return able.length > 0 && able.every(isLastResort);
  });
}

export class LastResortWatch {
  #before: boolean[] = [];

  constructor(readonly services: readonly string[], readonly record: (event: FarmEventInit) => void) {}

  look(basis: ClaimsBasis): void {
    const now = lastResorts(basis, this.services.length);
    this.services.forEach((service, index) => {
      if (now[index] === (this.#before[index] ?? false)) return;
      this.record({
        severity: now[index] ? "warning" : "info",
        kind: now[index] ? "service.last_resort" : "service.healthy",
        message: now[index]
          ? `No node passes its checks for ${service}: those that could serve it do so all the same, as a last resort.`
          : `There is a node again that passes its checks for ${service}, or nobody to serve it.`,
        details: { service },
      });
    });
    this.#before = now;
  }
}
