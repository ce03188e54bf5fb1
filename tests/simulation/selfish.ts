import type { Member } from "../../src/membership/member.ts";
import { Membership } from "../../src/membership/membership.ts";

/** Rule 14 off: replaces whom it does not hear itself, whatever others say. */
export class Selfish extends Membership {
  protected override aliveMs(member: Member): number {
    return member.lastHeardMs;
  }
}
