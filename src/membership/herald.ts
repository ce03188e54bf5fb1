/** Queues effects, and puts into words what happens to members. */

import type { FarmEventInit } from "../core/events.ts";
import type { Changes, Member } from "./member.ts";
import { CLOCK_DIFFERENCE_MS } from "./timing.ts";
import type { Effect } from "./types.ts";

/** The queue of effects, in the order in which they must be carried out. */
export class Herald {
  #effects: Effect[] = [];

  push(effect: Effect): void {
    this.#effects.push(effect);
  }

  /** Hands over the queue and starts a new one. */
  take(): Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  say(severity: FarmEventInit["severity"], kind: string, message: string, node?: string): void {
    this.push({
      kind: "event",
      event: node === undefined ? { severity, kind, message } : { severity, kind, message, node },
    });
  }

  /** Tells what a heartbeat changed about its sender. `before` is the state that it had. */
  tellChanges(member: Member, changes: Changes, before: Member["state"], ownDigest: number): void {
    const name = member.name;
    if (changes.restarted) this.say("info", "member.restarted", `Node ${name} starts anew.`, name);
    if (member.confirmed && member.state !== before) {
      if (member.state === "up" && before === "draining") {
        this.say("info", "member.resumed", `Node ${name} takes new flows again.`, name);
      } else if (member.state === "up") {
        this.say("info", "member.joined", `Node ${name} takes its share.`, name);
      } else if (member.state === "draining") {
        this.say("info", "member.draining", `Node ${name} takes no new flows.`, name);
      } else if (member.state === "leaving") {
        this.say("info", "member.leaving", `Node ${name} leaves the farm.`, name);
      }
    }
    if (member.confirmed && changes.retained && member.state === "draining" && member.retained.length === 0) {
      this.say("info", "member.drained", `Node ${name} is drained: it has no open connections left.`, name);
    }
    const differenceMs = Math.abs(member.clockDifferenceMs);
    if (differenceMs > CLOCK_DIFFERENCE_MS) {
      this.sayOnce(
        member,
        "member.clock_differs",
        "warning",
        `The clock of ${name} differs from ours by ${seconds(differenceMs)}: logs cannot be compared.`,
      );
    } else if (differenceMs < CLOCK_DIFFERENCE_MS / 2) {
      member.reported.delete("member.clock_differs");
    }
    if (member.servicesDigest === ownDigest) {
      member.reported.delete("member.services_differ");
    } else {
      this.sayOnce(
        member,
        "member.services_differ",
        "error",
        `Node ${name} runs a different list of services: give both nodes the same file.`,
      );
    }
  }

  /** Tells that this member's heartbeats look like recordings. */
  tellRecording(member: Member): void {
    this.sayOnce(
      member,
      "member.recording",
      "warning",
      `Heartbeats of ${member.name} are ignored: it never answered, and its clock differs by ` +
        `${seconds(Math.abs(member.clockDifferenceMs))}. They may be a recording.`,
    );
  }

  /** Tells that another hears a member that this node does not hear. True: for the first time. */
  tellUnheard(member: Member): boolean {
    return this.sayOnce(
      member,
      "member.unheard",
      "warning",
      `Node ${member.name} is not heard here, but ${member.word?.by} hears it, so it is not replaced: look for a fault ` +
        `of the network between ${member.name} and this node.`,
    );
  }

  /** Says something about a member once, until `reported` forgets it. True: now. */
  sayOnce(member: Member, kind: string, severity: FarmEventInit["severity"], message: string): boolean {
    if (member.reported.has(kind)) return false;
    member.reported.add(kind);
    this.say(severity, kind, message, member.name);
    return true;
  }
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}
