/** One membership under test, driven by hand, and other nodes that the test plays. */
import assert from "node:assert/strict";
import { Membership } from "../../../src/membership/membership.ts";
import type { Effect, MembershipOptions } from "../../../src/membership/types.ts";
import type { Heartbeat } from "../../../src/wire/heartbeat.ts";

export const WALL_MS = 1_800_000_000_000;

/** One node under test, driven by hand. */
export class Bench {
  nowMs = 0;
  readonly log: Effect[] = [];
  readonly sent: Heartbeat[] = [];
  sendsFail = false;
  readonly node: Membership;

  constructor(name = "n1", options: Pick<MembershipOptions, "draining" | "quorum"> = {}) {
    this.node = new Membership({
      name,
      incarnation: 1000,
      intervalMs: 100,
      weights: [1, 100],
      servicesDigest: 7,
      nowMs: 0,
      ...options,
    });
    this.act(() => {});
  }

  /** An input, then what the worker does with the effects. */
  act(input: () => void): Effect[] {
    input();
    this.node.tick(this.nowMs, WALL_MS + this.nowMs);
    const from = this.log.length;
    for (let effects; (effects = this.node.takeEffects()).length > 0;) {
      for (const effect of effects) {
        this.log.push(effect);
        if (effect.kind !== "send") continue;
        this.sent.push(this.node.heartbeat(this.nowMs, WALL_MS + this.nowMs));
        this.node.sent(!this.sendsFail, this.nowMs, this.nowMs);
      }
    }
    return this.log.slice(from);
  }

  /** Lets time pass, ticking whenever the node asks for it; `others` are heard every interval. */
  pass(durationMs: number, ...others: Peer[]): void {
    const endMs = this.nowMs + durationMs;
    while (this.nowMs < endMs) {
      this.nowMs = Math.min(endMs, Math.max(this.node.nextTickMs(), this.nowMs + 0.1));
      this.act(() => {});
      for (const other of others) if (this.nowMs - other.lastMs >= 100) this.hear(other);
    }
  }

  hear(other: Peer, changes: Partial<Heartbeat> = {}): Effect[] {
    other.lastMs = this.nowMs;
    return this.act(() =>
      this.node.receive(other.heartbeat(this, changes), this.nowMs, WALL_MS + this.nowMs, "192.0.2.2")
    );
  }

  get last(): Heartbeat {
    return this.sent[this.sent.length - 1];
  }

  kinds(effects: Effect[] = this.log): string[] {
    return effects.map((effect) => effect.kind === "event" ? effect.event.kind : effect.kind);
  }

  state(name: string): string {
    return this.node.view(this.nowMs).find((line) => line.name === name)?.state ?? "unknown";
  }

  reason(name: string): string {
    return this.node.view(this.nowMs).find((line) => line.name === name)?.reason ?? "unknown";
  }
}

/** Another node, played by the test: lists whatever the bench sent last. */
export class Peer {
  lastMs = -Infinity;
  sequence = 0;
  incarnation = 500;
  settings: Partial<Heartbeat> = {};

  constructor(readonly name: string) {}

  heartbeat(bench: Bench, changes: Partial<Heartbeat>): Heartbeat {
    const heard = bench.sent.length === 0 ? [] : [{
      name: bench.node.name,
      incarnation: bench.last.incarnation,
      settingsVersion: bench.last.settingsVersion,
      status: "heard" as const,
      echo: bench.last.sequence,
    }];
    return {
      sender: this.name,
      incarnation: this.incarnation,
      sequence: ++this.sequence,
      intervalMs: 100,
      state: "up",
      binding: true,
      settingsVersion: 2,
      weights: [1, 100],
      servicesDigest: 7,
      wallClockMs: WALL_MS + bench.nowMs,
      vipFramesSeen: 0,
      vipReach: { reached: 0, unreached: 0 },
      holdMs: 0,
      heard,
      retained: [],
      holds: [],
      orders: [],
      answers: [],
      ...this.settings,
      ...changes,
    };
  }
}

/** A bench that is up together with n2. */
export function pair(): { bench: Bench; n2: Peer } {
  const bench = new Bench(), n2 = new Peer("n2");
  bench.hear(n2);
  bench.pass(700, n2);
  assert.equal(bench.state("n1"), "up");
  assert.equal(bench.state("n2"), "up");
  return { bench, n2 };
}
