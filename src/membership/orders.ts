/**
 * Orders between nodes. An order travels in its issuer's heartbeats until the target answers or time is up; an
 * answer travels in the target's heartbeats for a while. Both may be heard many times and count once.
 */

import { dropOldest } from "../core/oldest.ts";
import { type Answer, type AnswerCode, ANSWERS_MAX, type Order, ORDERS_MAX } from "../wire/heartbeat.ts";
import { ORDER_MS, ORDERS_REMEMBERED_MAX } from "./timing.ts";
import type { Effect } from "./types.ts";

/** What {@link OrderDesk.save} gives. */
export interface SavedOrders {
  readonly answers: ReadonlyArray<{ answer: Answer; untilMs: number }>;
  /** `null` stands for no answer yet, since JSON has no `undefined` in lists. */
  readonly seen: ReadonlyArray<readonly [string, Answer | undefined | null]>;
}

/** What this node asked of others, and what others asked of it. */
export class OrderDesk {
  readonly #issued = new Map<string, { readonly order: Order; readonly deadlineMs: number }>();
  readonly #answers = new Map<string, { readonly answer: Answer; untilMs: number }>();
  /** Every order seen, oldest first, with its answer once there is one. */
  readonly #seen = new Map<string, Answer | undefined>();

  constructor(readonly ownName: string, readonly push: (effect: Effect) => void) {}

  /** Gives out an order. One for this node itself comes straight back; one more than a heartbeat carries is refused. */
  issue(order: Order, nowMs: number): void {
    const { id, target } = order;
    if (this.#issued.size >= ORDERS_MAX) {
      const text = `${ORDERS_MAX} orders are still waiting for an answer`;
      return this.push({ kind: "orderResult", id, target, code: "refused", text });
    }
    this.#issued.set(id, { order, deadlineMs: nowMs + ORDER_MS });
    if (target === this.ownName) this.#take(order, nowMs);
  }

  /** Orders of another member: those for this node are taken, each once. True: an answer must be sent. */
  hearOrders(orders: readonly Order[], nowMs: number): boolean {
    let answer = false;
    for (const order of orders) {
      if (order.target === this.ownName) answer = this.#take(order, nowMs) || answer;
    }
    return answer;
  }

  /** Answers of another member: those to this node's orders are reported. */
  hearAnswers(answers: readonly Answer[], from: string): void {
    for (const answer of answers) {
      if (this.#issued.get(answer.id)?.order.target === from) {
        this.#settle(answer.id, answer.code, answer.text);
      }
    }
  }

  /** What became of an order that this node took. */
  answer(id: string, code: AnswerCode, text: string, nowMs: number): void {
    const answer = { id, code, text };
    this.#seen.set(id, answer);
    if (this.#issued.get(id)?.order.target === this.ownName) this.#settle(id, code, text);
    else this.#send(answer, nowMs);
  }

  /** Orders that were seen, with their answers. What this node issued is lost with the process that waits for it. */
  save(): SavedOrders {
    return { answers: [...this.#answers.values()], seen: [...this.#seen] };
  }

  /** Goes on where another process of this node stopped. */
  restore({ answers, seen }: SavedOrders): void {
    for (const { answer, untilMs } of answers) this.#answers.set(answer.id, { answer, untilMs });
    for (const [id, answer] of seen) this.#seen.set(id, answer ?? undefined);
  }

  /** Ends what has waited long enough. */
  expire(nowMs: number): void {
    for (const [id, { order, deadlineMs }] of this.#issued) {
      if (nowMs >= deadlineMs) {
        this.#settle(
          id,
          "unanswered",
          `node ${order.target} did not answer within ${ORDER_MS / 1000} seconds`,
        );
      }
    }
    for (const [id, { untilMs }] of this.#answers) if (nowMs >= untilMs) this.#answers.delete(id);
  }

  /** When {@link expire} has something to do next. */
  nextMs(): number {
    let next = Infinity;
    for (const { deadlineMs } of this.#issued.values()) next = Math.min(next, deadlineMs);
    return next;
  }

  /** For the next heartbeat. */
  orders(): Order[] {
    return [...this.#issued.values()].map(({ order }) => order).filter((order) =>
      order.target !== this.ownName
    );
  }

  /** For the next heartbeat. */
  answers(): Answer[] {
    return [...this.#answers.values()].map(({ answer }) => answer);
  }

  #take(order: Order, nowMs: number): boolean {
    if (this.#seen.has(order.id)) {
      const answer = this.#seen.get(order.id);
      // Whoever still asks has not heard the answer; while it is being sent anyway, there is nothing to do.
      if (answer === undefined || this.#answers.has(order.id)) return false;
      this.#send(answer, nowMs);
      return true;
    }
    this.#seen.set(order.id, undefined);
    dropOldest(this.#seen, ORDERS_REMEMBERED_MAX);
    this.push({ kind: "order", order });
    return false;
  }

  #send(answer: Answer, nowMs: number): void {
    this.#answers.set(answer.id, { answer, untilMs: nowMs + ORDER_MS });
    dropOldest(this.#answers, ANSWERS_MAX); // asked for again if it was not heard
  }

  #settle(id: string, code: AnswerCode | "unanswered", text: string): void {
    const issued = this.#issued.get(id);
    if (issued === undefined) return;
    this.#issued.delete(id);
    this.push({ kind: "orderResult", id, target: issued.order.target, code, text });
  }
}
