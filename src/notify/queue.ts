/** What waits to be told over one way: bounded, in order, tried again with growing pauses. Pure. */

/** Waits while an outage lasts some hours at the rate of a troubled farm; more is history, which the log has. */
export const WAITING_MAX = 100;
/** With the pauses below these attempts cover about five minutes: a receiver that restarts, or a switch that does. */
const ATTEMPTS_MAX = 8;
const PAUSE_MS_MIN = 1_000;
const PAUSE_MS_MAX = 120_000;

export interface Queue<T> {
  readonly waiting: readonly T[];
  /** The first ones, which are on their way now. */
  readonly sending: number;
  /** Failed attempts at the first one. */
  readonly attempts: number;
  /** Nothing is sent before. */
  readonly notBeforeMs: number;
  /** Left out since the start, because there was no room or no attempt helped. */
  readonly dropped: number;
}

export const EMPTY: Queue<never> = {
  waiting: [],
  sending: 0,
  attempts: 0,
  notBeforeMs: -Infinity,
  dropped: 0,
};

/** One more. If there is no room, the oldest that is not on its way makes some. */
export function add<T>(queue: Queue<T>, item: T): Queue<T> {
  const waiting = [...queue.waiting, item];
  if (waiting.length <= WAITING_MAX) return { ...queue, waiting };
  return { ...queue, waiting: waiting.toSpliced(queue.sending, 1), dropped: queue.dropped + 1 };
}

/** What to send now, at most so many; empty while something is on its way, nothing waits or a pause lasts. */
export function take<T>(
  queue: Queue<T>,
  nowMs: number,
  countMax: number,
): { queue: Queue<T>; items: readonly T[] } {
  if (queue.sending > 0 || nowMs < queue.notBeforeMs) return { queue, items: [] };
  const items = queue.waiting.slice(0, countMax);
  return { queue: { ...queue, sending: items.length }, items };
}

/** It has arrived. */
export function sent<T>(queue: Queue<T>): Queue<T> {
  return {
    ...queue,
    waiting: queue.waiting.slice(queue.sending),
    sending: 0,
    attempts: 0,
    notBeforeMs: -Infinity,
  };
}

/** It has not arrived: again after a pause, or never, if it is `hopeless` or has been tried often enough. */
export function failed<T>(
  queue: Queue<T>,
  nowMs: number,
  hopeless: boolean,
): { queue: Queue<T>; givenUp: boolean } {
  const attempts = queue.attempts + 1;
  const givenUp = hopeless || attempts >= ATTEMPTS_MAX;
  if (givenUp) return { queue: { ...sent(queue), dropped: queue.dropped + queue.sending }, givenUp };
  const pauseMs = Math.min(PAUSE_MS_MIN * 2 ** (attempts - 1), PAUSE_MS_MAX);
  return { queue: { ...queue, sending: 0, attempts, notBeforeMs: nowMs + pauseMs }, givenUp };
}

/** When there may be something to take; undefined: not before something happens. */
export function dueMs<T>({ waiting, sending, notBeforeMs }: Queue<T>): number | undefined {
  return waiting.length === 0 || sending > 0 ? undefined : notBeforeMs;
}
