/** The labels of a BPF program under construction, classic or extended: jumps go forward only, as both want it. */

import { VipfarmError } from "../src/core/errors.ts";

/** Where each label stands, counted in instructions. */
export class Labels {
  readonly #places = new Map<string, number>();

  /** `operation` names the assembly in errors. */
  constructor(readonly operation: string) {}

  /** Puts a label at `place`. Throws {@link VipfarmError} if there is one of that name. */
  define(name: string, place: number): void {
    if (this.#places.has(name)) throw this.error("the label is defined twice", name);
    this.#places.set(name, place);
  }

  /** How many instructions a jump at `place` skips. Throws {@link VipfarmError} for unknown labels and jumps back. */
  distance(place: number, name: string): number {
    const target = this.#places.get(name);
    if (target === undefined) throw this.error("no such label", name);
    if (target <= place) throw this.error("a jump goes back", name);
    return target - place - 1;
  }

  error(problem: string, value: string): VipfarmError {
    return new VipfarmError({ operation: this.operation, problem, value });
  }
}
