/** What the stories of the soak suite share: how often, what came of it, and steady requests with captures beside. */

import type { Answer } from "../../src/lab/client_protocol.ts";
import { type Lab, LAB_PORTS } from "../../src/lab/lab.ts";
import { answersFilter, doublyAnswered, type Segment, segmentsOf } from "../netns/farm_failure_support.ts";

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

/** Milliseconds since 1970, as the clients count. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}

/** `min 1, median 2, p95 3, p99 4, max 5 (of 200)` in whole milliseconds. */
export function spread(values: readonly number[]): string {
  const at = (part: number) => Math.round(quantile(values, part));
  return `min ${at(0)}, median ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)}, max ${
    at(1)
  } (of ${values.length})`;
}

/** The value below which that part of the values lies (nearest rank). */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(part * sorted.length) - 1))];
}

/** The HTTP service on the first virtual IP, for a batch of requests. */
export function http(lab: Lab) {
  return { protocol: "tcp", address: lab.virtualIps.ipv4[0], port: LAB_PORTS.http } as const;
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
  }

  async stop(): Promise<readonly Answer[]> {
    this.#over = true;
    await this.#ended;
    return this.answers;
  }
}

/** Captures SYN-ACKs and resets of all nodes. */
export class AnswerCaptures {
  private constructor(readonly stop: () => Promise<Segment[]>) {}

  static async start(lab: Lab): Promise<AnswerCaptures> {
    const filter = answersFilter(lab.virtualIps.ipv4[0]);
    const captures = await Promise.all(
      lab.nodes.map(async ({ name }) => ({ name, capture: await lab.capture(name, "eth0", filter, 128) })),
    );
    return new AnswerCaptures(async () => {
      const read = captures.map(async ({ name, capture }) => {
        await capture.stop();
        return await segmentsOf(name, capture);
      });
      return (await Promise.all(read)).flat();
    });
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
