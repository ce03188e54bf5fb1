/** Members that are gone: shown for a while, known when they return, and told which incarnation to exceed. */

import { MEMBERS_MAX } from "../core/limits.ts";
import { dropOldest } from "../core/oldest.ts";
import { type DeadMember, type Member, restoreMember, type SavedMember, saveMember } from "./member.ts";
import { DEAD_SHOWN_MAX, DEAD_SHOWN_MS } from "./timing.ts";

/** What {@link Departed.save} gives. */
export interface SavedDeparted {
  readonly dead: ReadonlyArray<{ member: SavedMember; diedMs: number; reason: string }>;
  readonly remembered: ReadonlyArray<{ name: string; incarnation: number; untilMs: number }>;
}

/** The memory of members that are not heard. */
export class Departed {
  readonly #dead = new Map<string, DeadMember>();
  readonly #remembered = new Map<string, { readonly incarnation: number; readonly untilMs: number }>();

  /** Notes a departure; the oldest is forgotten when there are too many. */
  add(member: Member, reason: string, nowMs: number): void {
    this.#dead.delete(member.name);
    this.#dead.set(member.name, { member, diedMs: nowMs, reason });
    dropOldest(this.#dead, DEAD_SHOWN_MAX);
  }

  /** The member is heard again: gives what was known of it, and forgets it. */
  takeBack(name: string): Member | undefined {
    const dead = this.#dead.get(name);
    this.#dead.delete(name);
    this.#remembered.delete(name);
    return dead?.member;
  }

  /** The last that was known of a member that is gone, as far as it is still shown. */
  last(name: string): Member | undefined {
    return this.#dead.get(name)?.member;
  }

  /** Lists this incarnation as remembered for a while. */
  remember(name: string, incarnation: number, untilMs: number): void {
    if (this.#remembered.size >= MEMBERS_MAX && !this.#remembered.has(name)) return;
    this.#remembered.set(name, { incarnation, untilMs });
  }

  save(): SavedDeparted {
    return {
      dead: [...this.#dead.values()].map(({ member, ...rest }) => ({ ...rest, member: saveMember(member) })),
      remembered: [...this.#remembered].map(([name, rest]) => ({ name, ...rest })),
    };
  }

  /** Goes on where another process of this node stopped. */
  restore({ dead, remembered }: SavedDeparted): void {
    for (const { member, ...rest } of dead) {
      this.#dead.set(member.name, { ...rest, member: restoreMember(member) });
    }
    for (const { name, ...rest } of remembered) this.#remembered.set(name, rest);
  }

  /** Forgets what has been shown, or said, for long enough. */
  expire(nowMs: number): void {
    for (const [name, { untilMs }] of this.#remembered) if (nowMs >= untilMs) this.#remembered.delete(name);
    for (const [name, { diedMs }] of this.#dead) {
      if (nowMs - diedMs >= DEAD_SHOWN_MS) this.#dead.delete(name);
    }
  }

  get dead(): DeadMember[] {
    return [...this.#dead.values()];
  }

  get remembered(): { readonly name: string; readonly incarnation: number }[] {
    return [...this.#remembered].map(([name, { incarnation }]) => ({ name, incarnation }));
  }
}
