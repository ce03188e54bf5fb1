/**
 * When this node's own heartbeats were sent. Members echo the number of the last one that they have heard, which tells
 * how old their knowledge is, on this node's clock and whatever the network did to the message that brings it.
 */

/** Heartbeats remembered: more than can be sent within {@link OLD_ECHO_INTERVALS}, urgent ones included. */
const REMEMBERED = 256;

/**
 * A heartbeat that lists this node as heard, but has heard nothing of it for so long, is old: who hears nothing lists
 * its silence after 3 intervals, a pause of its own adds less than its lease of 4, and beyond that it joins anew.
 */
export const OLD_ECHO_INTERVALS = 8;

/** The times of the last heartbeats. */
export class SentTimes {
  readonly #sequences: number[] = new Array(REMEMBERED).fill(-1);
  readonly #timesMs: number[] = new Array(REMEMBERED).fill(0);
  #last = 0;

  /** The heartbeat with this number goes out now. Numbers grow. */
  note(sequence: number, nowMs: number): void {
    this.#last = sequence;
    this.#sequences[sequence % REMEMBERED] = sequence;
    this.#timesMs[sequence % REMEMBERED] = nowMs;
  }

  /**
   * When the heartbeat was sent whose number ends in these 32 bits; `undefined` if that is not known (any more), or if
   * there was none.
   */
  at(echo: number): number | undefined {
    const sequence = this.#last - ((this.#last - echo) >>> 0);
    if (sequence < 0) return undefined;
    const slot = sequence % REMEMBERED;
    return this.#sequences[slot] === sequence ? this.#timesMs[slot] : undefined;
  }
}

/** The last 32 bits of a sequence number, as heartbeats echo it. */
export function echoOf(sequence: number): number {
  return sequence % 2 ** 32;
}
