/**
 * Which frames a packet thread decides while its program is being replaced: each frame is in the rings of both
 * processes, with the moment of its capture, and one moment cuts between what the old one decides and what the new one
 * does.
 */
import { type SharedClaims } from "./shared.ts";

/** The cut lies this far ahead (ms) when it is set, so that the packet threads know of it when it comes. */
export const CUT_AHEAD_MS = 1;
/** The kernel fills a frame in after it took the time; on a busy machine this much (ms) after. */
const SETTLE_MS = 5;
/** So long (ms) after it, no frame from before the cut is left in the ring of a packet thread that runs. */
const BACKLOG_MS = 1_000;

export type Passes = (capturedUs: number) => boolean;

const NONE: Passes = () => false;

/**
 * One packet thread's view of the window in `claims`. Frames have the wall clock's time, and so has the cut; how long ago
 * it was goes by a clock that nobody sets.
 */
export class FrameGate {
  /** When this thread first saw the cut. */
  #cutSeenMs: number | undefined;

  constructor(readonly claims: Pick<SharedClaims, "window" | "cutUs">) {}

  /** What decides on frames now: nothing at all as a rule. `later`: leave them in the ring. `nowMs` is since boot. */
  passes(nowMs: number): Passes | "later" | undefined {
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
        this.#cutSeenMs ??= nowMs;
        return (capturedUs) => capturedUs <= cutUs;
      }
      case "afterCut": {
        const { cutUs } = claims;
        this.#cutSeenMs ??= nowMs;
        if (nowMs - this.#cutSeenMs > CUT_AHEAD_MS + BACKLOG_MS) return undefined;
        return (capturedUs) => capturedUs > cutUs;
      }
    }
  }

  /** Whether every frame up to the cut has been captured: with an empty ring, this thread has nothing more to do. */
  isOver(nowMs: number): boolean {
    return this.claims.window === "upToCut" && this.#cutSeenMs !== undefined &&
      nowMs - this.#cutSeenMs > CUT_AHEAD_MS + SETTLE_MS;
  }
}
