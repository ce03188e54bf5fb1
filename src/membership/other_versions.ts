/**
 * Nodes of this farm that speak another version of the protocol: they and this node cannot agree on who answers, so this
 * one must not take a share beside them (rule 13).
 */

import { MEMBERS_MAX } from "../core/limits.ts";
import { dropOldest } from "../core/oldest.ts";
import type { OtherVersion } from "../wire/heartbeat.ts";
import { RECORDING_AGE_MS, REPLACE_INTERVALS } from "./timing.ts";

/** The same node is told of again after this time. */
const SAID_AGAIN_MS = 60_000;

interface Heard {
  readonly what: OtherVersion;
  /** It is taken for gone then, as a member that is not heard. */
  readonly untilMs: number;
  readonly saidMs: number;
}

/** Those heard lately. */
export class OtherVersions {
  readonly #heard = new Map<string, Heard>();

  constructor(readonly ownName: string) {}

  /** Takes note of a heartbeat. Gives a sentence if people should be told of it now. */
  hear(what: OtherVersion, nowMs: number, wallMs: number): string | undefined {
    if (Math.abs(what.wallClockMs - wallMs) > RECORDING_AGE_MS) return undefined;
    const before = this.#heard.get(what.sender);
    const isNews = nowMs - (before?.saidMs ?? -Infinity) >= SAID_AGAIN_MS;
    this.#heard.delete(what.sender); // to put it at the end
    this.#heard.set(what.sender, {
      what,
      untilMs: nowMs + REPLACE_INTERVALS * what.intervalMs,
      saidMs: isNews ? nowMs : before!.saidMs,
    });
    dropOldest(this.#heard, MEMBERS_MAX);
    if (!isNews) return undefined;
    return `${
      difference(what)
    }: they cannot serve together, so neither takes a share while it hears the other serve. ` +
      "Run one version on all nodes.";
  }

  /** Why this node must not take its share yet. */
  obstacle(nowMs: number): string | undefined {
    for (const { what, untilMs } of this.#heard.values()) {
      if (nowMs < untilMs && this.#goesFirst(what)) return difference(what);
    }
    return undefined;
  }

  /** It serves; or both are about to: then the smaller name goes first, so that one of them does. */
  #goesFirst({ sender, state, binding }: OtherVersion): boolean {
    if (state === "up" || state === "draining") return true;
    return state === "joining" && binding && sender < this.ownName;
  }
}

function difference({ sender, version, ownVersion }: OtherVersion): string {
  return `${sender} speaks protocol ${version}, this node ${ownVersion}`;
}
