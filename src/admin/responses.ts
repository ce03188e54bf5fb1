/** Building blocks of route definitions: JSON answers and the refusals that a route documents. */

import type { z } from "@hono/zod-openapi";
import type { FailureStatus } from "./failure.ts";
import { FailureSchema } from "./schemas.ts";

const MEANING: Record<FailureStatus, string> = {
  400: "The request is malformed; every problem is named.",
  401: "A token is needed, or the one sent is not known.",
  403: "The role, the Host or the Origin does not allow this.",
  404: "There is no such node, service or path.",
  408: "The body came too slowly.",
  409: "The state of the farm does not allow this now.",
  413: "The body is too large.",
  415: "The body is not JSON.",
  429: "Too many streams, or too many wrong tokens.",
  500: "A defect of vipfarm.",
  503: "The daemon is about to end, or too many requests wait for an answer.",
};

/** A JSON answer of this shape. */
export function json<S extends z.ZodType>(description: string, schema: S) {
  return { description, content: { "application/json": { schema } } };
}

/** Documents refusals; every route may refuse a foreign Host (403), meet a defect (500) and be too busy (503). */
export function failures<S extends FailureStatus>(...statuses: S[]) {
  const all = [...statuses, 403, 500, 503] as const;
  return Object.fromEntries(all.map((status) => [status, json(MEANING[status], FailureSchema)])) as Record<
    S | 403 | 500 | 503,
    ReturnType<typeof json<typeof FailureSchema>>
  >;
}
