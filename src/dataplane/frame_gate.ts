/**
 * Which frames a packet thread decides while its program is being replaced: each frame is in the rings of both
 * processes, with the moment of its capture, and one moment cuts between what the old one decides and what the new one
 * does.
 */
import { type SharedClaims } from "./shared.ts";

/** The kernel fills a frame in after it took the time; on a busy machine this much (µs) after. */
const SETTLE_US = 5_000;
/** No ring holds a frame back for longer without being full: after it, none from before the cut is left. */
const BACKLOG_US = 1_000_000;

export type Passes = (capturedUs: number) => boolean;

const NONE: Passes = () => false;

/** One packet thread's view of the window in `claims`. */
export class FrameGate {
  #isOpen = false;

  constructor(readonly claims: Pick<SharedClaims, "window" | "cutUs">) {}

  /** What decides on frames now: nothing at all as a rule. `later`: leave them in the ring. */
  passes(nowUs: number): Passes | "later" | undefined {
    const { claims } = this;
    switch (claims.window) {
      case "all":
        return undefined;
      case "none":
        return NONE;
      case "later":
        return "later";
      case "upToCut": {
        const { cutUs } = claims;
        return (capturedUs) => capturedUs <= cutUs;
      }
      case "afterCut": {
        const { cutUs } = claims;
        if (nowUs - cutUs > BACKLOG_US) this.#isOpen = true;
        return this.#isOpen ? undefined : (capturedUs) => capturedUs > cutUs;
      }
    }
  }

  /** Whether every frame up to the cut has been captured: with an empty ring, this thread has nothing more to do. */
  isOver(nowUs: number): boolean {
    return this.claims.window === "upToCut" && nowUs - this.claims.cutUs > SETTLE_US;
  }
}
