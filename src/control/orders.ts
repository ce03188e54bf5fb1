/** Orders that this node gave, until the farm has answered them. */
import { type OrderResult, type OrderVerb } from "../admin/source.ts";
import { type FromMembership } from "../thread_messages.ts";
import { type AnswerCode, type Order, ORDERS_MAX } from "../wire/heartbeat.ts";

type Result = Extract<FromMembership, { kind: "orderResult" }>;

/** What to do about an order that was not carried out, where the node's log is not the place to look. */
const REMEDIES: Partial<Record<AnswerCode, string>> = {
  no_application: "Give the file an `application` (see config/vipfarm.yaml).",
  needs_restart: "Copy the file to all nodes, then restart the daemon on one after the other.",
  file_has_errors: "`vipfarm check -c FILE` there says which.",
};

export class Orders {
  readonly #pending = new Map<string, (result: OrderResult) => void>();

  /** `issue` hands an order to the membership thread, which answers each within its deadline. */
  constructor(readonly node: string, readonly issue: (order: Order) => void) {}

  give(target: string, verb: OrderVerb, value = 0): Promise<OrderResult> {
    if (this.#pending.size >= ORDERS_MAX) {
      return Promise.resolve({
        outcome: "refused",
        code: "too_many_orders",
        message: `${ORDERS_MAX} orders wait for an answer already`,
        remedy: "Try again in a few seconds.",
      });
    }
    const id = crypto.getRandomValues(new Uint8Array(8)).toHex();
    const { promise, resolve } = Promise.withResolvers<OrderResult>();
    this.#pending.set(id, resolve);
    this.issue({ id, target, verb, value, issuedBy: this.node });
    return promise;
  }

  settle({ id, target, code, text }: Result): void {
    const resolve = this.#pending.get(id);
    this.#pending.delete(id);
    if (code === "done" || code === "unchanged") {
      resolve?.({ outcome: code, message: `${target}: ${text}` });
    } else if (code === "unanswered") {
      resolve?.({
        outcome: "refused",
        code: "node_unreachable",
        message: `${target} did not answer`,
        remedy: `See with \`vipfarm status\` whether ${target} is up, and look at its log.`,
      });
    } else {
      resolve?.({
        outcome: "refused",
        code: code === "failed" ? "order_failed" : "order_refused",
        message: text, // who asked has named the node
        remedy: REMEDIES[code] ?? `Look at the log of ${target}.`,
      });
    }
  }
}
