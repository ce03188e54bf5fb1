/** What this node concludes from one member's last heartbeat. The rules are numbered as in `README.md`. */

import { serves, unheard } from "./hearsay.ts";
import type { Member } from "./member.ts";
import type { OwnSettings } from "./own.ts";
import { RECORDING_AGE_MS, UNCONFIRMED_INTERVALS } from "./timing.ts";

/** Whether the member has listed our current incarnation as heard. */
export function listsUs(member: Member, own: OwnSettings): boolean {
  return isListed(member, own) && member.listing!.status === "heard";
}

/** Whether it has listed our current incarnation as heard, or as missed but not replaced yet. */
export function isListed({ listing }: Member, own: OwnSettings): boolean {
  return listing?.incarnation === own.incarnation && listing.status !== "remembered";
}

/**
 * Rule 2: whether it lists us with settings that we claim by: the current ones, or the previous ones while we claim
 * by both. After a cut it may know older ones, for we could not wait for it.
 */
export function knowsUs(member: Member, own: OwnSettings): boolean {
  if (!listsUs(member, own)) return false;
  const behind = own.version - member.listing!.settingsVersion;
  return behind === 0 || (behind === 1 && own.previous !== undefined);
}

/**
 * Rule 1: whether it has not acknowledged our current settings, and may claim by older ones. Whoever binds may
 * claim, from the moment that we list it, with the settings that came with our list: so it counts even before it
 * has answered. Whoever binds nobody claims nothing, and before it may it hears from us again, which tells it our
 * settings as they are then.
 */
export function mustAcknowledge(member: Member, own: OwnSettings): boolean {
  if (isListed(member, own) && member.listing!.settingsVersion === own.version) return false;
  return member.binding || listsUs(member, own);
}

/** Rule 9: never answered, and its wall clock says that it was recorded long ago. */
export function isRecording(member: Member, own: OwnSettings, intervalMs: number, nowMs: number): boolean {
  if (member.known || Math.abs(member.clockDifferenceMs) <= RECORDING_AGE_MS) return false;
  // A joining node has nothing to lose by waiting for an answer, for a while.
  return own.state !== "joining" || nowMs - member.firstHeardMs > UNCONFIRMED_INTERVALS * intervalMs;
}

/** Rule 7: what this member says against our taking a share. */
export function objection(
  member: Member,
  own: OwnSettings,
  self: { readonly name: string; readonly servicesDigest: number },
  heard: ReadonlyMap<string, Member>,
): string | undefined {
  // Two that join at once and differ: the smaller name goes first, so that one of them serves.
  const precedes = member.state !== "joining" || member.name < self.name;
  if (member.servicesDigest !== self.servicesDigest && precedes) {
    return `${member.name} runs a different list of services`;
  }
  // Who only waits, and comes after us, is answered when it goes on: until then it binds nobody.
  if (member.state === "joining" && !member.binding && member.name > self.name) return undefined;
  if (!listsUs(member, own)) {
    return member.suspect && member.word !== undefined
      ? `${member.word.by} hears ${member.name}, which this node does not hear`
      : `${member.name} does not hear this node`;
  }
  if (member.listing?.settingsVersion !== own.version) {
    return `${member.name} has not acknowledged this node yet`;
  }
  if (!serves(member)) return undefined;
  // Half deaf, we would silence somebody whom the rest of the farm hears well.
  const other = unheard(member, self, heard);
  return other === undefined
    ? undefined
    : `${member.name} hears ${other.name}, which this node does not hear`;
}
