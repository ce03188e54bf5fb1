/**
 * What members say of each other: their lists tell whom they hear, and by which of its heartbeats. So a node knows that
 * somebody lives whom it does not hear itself (rule 14), as when the switch between the two fails and a third hears both.
 */

import type { HeardMember } from "../wire/heartbeat.ts";
import { echoOf } from "./echo.ts";
import type { Member } from "./member.ts";

/** What a node says of itself before it has taken a share: its first settings, with zero weights. */
const VERSION_WAITING = 1;

/** The last that somebody said of a member which this node had not heard of itself. */
export interface Word {
  /** Who said it first, in which incarnation of its own. */
  readonly by: string;
  readonly byIncarnation: number;
  /** When it said so for the last time. */
  readonly atMs: number;
  readonly incarnation: number;
  /** Of the heartbeat that it had heard, as lists echo it. */
  readonly echo: number;
}

/** Takes in what a member that counts says of the others. */
export function takeWord(teller: Member, members: ReadonlyMap<string, Member>, nowMs: number): void {
  for (const said of teller.hears) {
    const member = members.get(said.name);
    if (member === undefined || !(isNews(said, member) || isStillSaid(said, member, teller))) continue;
    // Who only waits need not be kept: its list, which nobody hears, would keep others waiting for it.
    if (said.incarnation === member.incarnation && said.settingsVersion <= VERSION_WAITING) continue;
    member.word = {
      by: teller.name,
      byIncarnation: teller.incarnation,
      atMs: nowMs,
      incarnation: said.incarnation,
      echo: said.echo,
    };
  }
  for (const member of members.values()) {
    const { word } = member;
    // Who starts anew has not replaced anybody: it has only not heard them.
    if (word?.by !== teller.name || word.byIncarnation !== teller.incarnation) continue;
    // Who knew most has replaced it: what it said before counts no more.
    if (!teller.hears.some(({ name }) => name === member.name)) member.word = { ...word, atMs: -Infinity };
  }
}

/** Whether this tells of a later heartbeat of the member than was heard, or heard of, so far. */
export function isNews(said: HeardMember, member: Member): boolean {
  const { word } = member;
  return isLater(said, member.incarnation, echoOf(member.sequence)) &&
    (word === undefined || isLater(said, word.incarnation, word.echo));
}

/**
 * Whether the teller goes on saying what it was the first to say: it says it until it replaces the member, and of that, too, it
 * tells. Only who knows more than this node counts, or the two would keep a dead member for each other.
 */
function isStillSaid(said: HeardMember, { word, incarnation, sequence }: Member, teller: Member): boolean {
  return word?.by === teller.name && word.byIncarnation === teller.incarnation &&
    said.incarnation === word.incarnation && said.echo === word.echo &&
    isLater(said, incarnation, echoOf(sequence));
}

function isLater(said: HeardMember, incarnation: number, echo: number): boolean {
  return said.incarnation === incarnation ? ((said.echo - echo) | 0) > 0 : said.incarnation > incarnation;
}

/** When the member, as it is known here, last gave a sign of life: to this node, or to another that told of it. */
export function aliveMs({ lastHeardMs, incarnation, word }: Member): number {
  return word?.incarnation === incarnation ? Math.max(lastHeardMs, word.atMs) : lastHeardMs;
}

/** Who hears of the member in a later incarnation: it has given up whatever it had in the one that is known here. */
export function supersededBy({ incarnation, word }: Member): string | undefined {
  return word !== undefined && word.incarnation > incarnation ? word.by : undefined;
}

/**
 * Whom this member hears and this node does not, if that one takes a share, or goes first. Of two that only wait, the smaller
 * name goes first, or both would wait for ever.
 */
export function unheard(
  member: Member,
  self: { readonly name: string },
  members: ReadonlyMap<string, Member>,
): HeardMember | undefined {
  return member.hears.find((said) =>
    said.name !== self.name && members.get(said.name)?.suspect !== false &&
    (said.settingsVersion > VERSION_WAITING || said.name < self.name)
  );
}

/** Whether it takes a share, or has only given it up for a while. */
export function serves({ state }: Member): boolean {
  return state === "up" || state === "draining";
}

/** Somebody who takes a share without being a member here, and who says so. */
export interface Stranger {
  readonly name: string;
  readonly by: string;
}

/**
 * The strangers that serving members tell of: who hears somebody by whom it is not heard falls silent, and soon joins anew.
 * `gone` gives the last that was known of a member that is not here any more: whoever tells of nothing later has only not
 * replaced it yet.
 */
export function* strangers(
  self: string,
  members: ReadonlyMap<string, Member>,
  gone: (name: string) => Member | undefined,
): Iterable<Stranger> {
  for (const teller of members.values()) {
    if (!teller.confirmed || teller.suspect || !serves(teller)) continue;
    for (const said of teller.hears) {
      if (said.name === self || members.has(said.name)) continue;
      if (said.status !== "heard" || said.settingsVersion <= VERSION_WAITING) continue;
      const before = gone(said.name);
      if (before === undefined || isNews(said, before)) yield { name: said.name, by: teller.name };
    }
  }
}
