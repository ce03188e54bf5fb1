/** What the stories of the soak suite share: how often, what came of it, and steady requests. */

import type { Answer } from "../../src/lab/client_protocol.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { doublyAnswered, type Segment } from "../netns/farm_answers.ts";
import { http } from "../netns/farm_support.ts";

/** How a story is run. */
export interface StoryRun {
  /** How often what the story is about is done. */
  readonly times: number;
  /** Where its random choices begin: the same seed chooses the same. */
  readonly seed: number;
  /** Tells a person how far it is. */
  progress(text: string): void;
}

/** What came of a story. */
export interface Outcome {
  /** Sentences with figures. */
  readonly figures: readonly string[];
  /** What was not as it must be; empty: all well. */
  readonly failures: readonly string[];
}

/** Something that is done many times to a real farm. */
export interface Story {
  readonly name: string;
  /** What must hold, in a sentence. */
  readonly claim: string;
  /** How often in the long form. */
  readonly times: number;
  run(run: StoryRun): Promise<Outcome>;
}

/** Random numbers from 0 to 1 that a seed decides: mulberry32. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One of them. */
export function pick<T>(from: readonly T[], chance: () => number): T {
  return from[Math.floor(chance() * from.length)];
}

/** New connections without a pause, from every client, until stopped. */
export class SteadyRequests {
  readonly answers: Answer[] = [];
  #over = false;
  readonly #ended: Promise<unknown>;

  /** `perSecond` new connections from each client; each is given up after `timeoutMs`. */
  constructor(lab: Lab, perSecond: number, timeoutMs: number) {
    this.#ended = Promise.all(lab.clients.map(async (client) => {
      while (!this.#over) {
        const batch = { ...http(lab), count: perSecond, everyMs: 1_000 / perSecond, timeoutMs };
        this.answers.push(...await client.request(batch));
      }
    }));
    // What fails is told by stop(); after a failure of something else nobody asks.
    this.#ended.catch(() => {});
  }

  async stop(): Promise<readonly Answer[]> {
    this.#over = true;
    await this.#ended;
    return this.answers;
  }
}

/** A failure for every SYN that was answered twice, and how many SYNs there were. */
export function judgeAnswers(segments: readonly Segment[]): Outcome {
  const doubly = doublyAnswered(segments);
  const answered = segments.filter(({ syn }) => syn).length;
  return {
    figures: [`${answered} SYN-ACKs captured on all nodes; ${doubly.length} SYNs answered by two`],
    failures: doubly.slice(0, 5).map((each) => `answered twice: ${each}`),
  };
}
