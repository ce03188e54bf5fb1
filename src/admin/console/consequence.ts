/** What an action will do, in sentences that a tired person understands before pressing the button. Pure. */

import type { FarmStatus, MemberStatus } from "../schemas.ts";
import { list, percent, plural } from "./format.ts";

export type Verb = "drain" | "resume" | "weight" | "reload" | "start" | "stop" | "restart";

/** What the confirmation of an action says. */
export interface Consequence {
  readonly title: string;
  readonly sentences: readonly string[];
  /** Nobody is left to take new clients: the node wants to be told twice. */
  readonly lastServing: boolean;
}

/** Share of new clients over all services; the mean where they differ. */
export function shareOf(member: MemberStatus, shares = member.shares): number {
  const values = Object.values(shares);
  return values.length === 0 ? 0 : values.reduce((sum, share) => sum + share, 0) / values.length;
}

/** Whether new clients come to it. */
export function serves(member: MemberStatus): boolean {
  return Object.values(member.shares).some((share) => share > 0);
}

/** Shares after the weight of one node changed to `weight` in every service: in proportion to the weights. */
export function sharesWith(farm: FarmStatus, name: string, weight: number): Map<string, number> {
  const services = farm.services.map((service) => service.name);
  const sums = new Map(farm.members.map((member) => [member.name, 0]));
  for (const service of services) {
    const weights = farm.members.map((member) => ({
      name: member.name,
      weight: member.name === name ? weight : serves(member) ? member.weights[service] ?? 0 : 0,
    }));
    const total = weights.reduce((sum, entry) => sum + entry.weight, 0);
    if (total === 0) continue;
    for (const entry of weights) {
      sums.set(entry.name, sums.get(entry.name)! + entry.weight / total / services.length);
    }
  }
  return sums;
}

/** What the action does, told before it is done. `weight` is that of the verb `weight`. */
export function consequenceOf(farm: FarmStatus, name: string, verb: Verb, weight = 0): Consequence {
  const member = farm.members.find((candidate) => candidate.name === name);
  if (member === undefined) return { title: `${title(verb, name)}?`, sentences: [], lastServing: false };
  const others = farm.members.filter((other) => other.name !== name && serves(other));
  const takesAway = verb === "drain" || verb === "stop" || verb === "restart" ||
    (verb === "weight" && weight === 0);
  return {
    title: `${title(verb, name)}?`,
    sentences: sentencesOf(farm, member, others, verb, weight),
    lastServing: takesAway && serves(member) && others.length === 0,
  };
}

function title(verb: Verb, name: string): string {
  if (verb === "weight") return `Change the weight of ${name}`;
  if (verb === "reload") return `Reload the configuration of ${name}`;
  const word = verb[0].toUpperCase() + verb.slice(1);
  return verb === "drain" || verb === "resume" ? `${word} ${name}` : `${word} the application on ${name}`;
}

function sentencesOf(
  farm: FarmStatus,
  member: MemberStatus,
  others: readonly MemberStatus[],
  verb: Verb,
  weight: number,
): string[] {
  const { name } = member;
  switch (verb) {
    case "drain":
      return [now(member), heirs(farm, member, others, 0), staying(member)];
    case "stop":
      return [
        now(member),
        heirs(farm, member, others, 0),
        `The application on ${name} is stopped: ${connections(member)} that it still has will be cut.`,
      ];
    case "restart":
      return [
        now(member),
        `While its application restarts, new clients go ${
          others.length > 0 ? `to ${list(names(others))}` : "nowhere"
        }.`,
        `${capital(connections(member))} that it still has may be cut.`,
      ];
    case "start":
      return [
        `The application on ${name} is started; once it is up and its checks agree, ${name} takes new clients.`,
      ];
    case "resume":
      return [
        `${name} takes new clients again, as its weight says (see its configured weight).`,
        "Connections that are open on other nodes stay there until they end.",
      ];
    case "reload":
      return [
        `${name} reads its configuration file again. Weights, checks and the like change without breaking a connection.`,
        "If the file is wrong, or changes what only a restart can, nothing changes and an event says why.",
      ];
    case "weight":
      return weight === 0 ? [now(member), heirs(farm, member, others, 0), staying(member)] : [
        change(farm, member, weight),
        "Open connections stay where they are. The weight holds until its next start.",
      ];
  }
}

function now(member: MemberStatus): string {
  const share = shareOf(member);
  if (!serves(member)) return `${member.name} serves no new clients now.`;
  return `${member.name} serves ${percent(share)} of new clients.`;
}

function heirs(
  farm: FarmStatus,
  member: MemberStatus,
  others: readonly MemberStatus[],
  weight: number,
): string {
  if (!serves(member)) return "Nothing changes for new clients.";
  if (others.length === 0) return "No other node takes new clients: nobody will serve them.";
  const after = sharesWith(farm, member.name, weight);
  const gains = others.map((other) => `${other.name} (then ${percent(after.get(other.name) ?? 0)})`);
  return `They will go to ${list(gains)}.`;
}

function change(farm: FarmStatus, member: MemberStatus, weight: number): string {
  const before = sharesWith(farm, member.name, member.weight).get(member.name) ?? 0;
  const after = sharesWith(farm, member.name, weight).get(member.name) ?? 0;
  return `${member.name} gets ${percent(after)} of new clients in place of ${percent(before)}.`;
}

function staying(member: MemberStatus): string {
  const open = member.connections;
  if (open === undefined) return "Its open connections will stay until they end.";
  if (open === 0) return "It has no open connections.";
  return `${plural(open, "open connection")} will stay until ${open === 1 ? "it ends" : "they end"}.`;
}

function connections(member: MemberStatus): string {
  const open = member.connections;
  return open === undefined ? "the open connections" : plural(open, "open connection");
}

function names(members: readonly MemberStatus[]): string[] {
  return members.map((member) => member.name);
}

function capital(text: string): string {
  return text[0].toUpperCase() + text.slice(1);
}
