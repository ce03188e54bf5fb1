/**
 * The shapes of what the admin API tells beside the farm itself: checks, services, buckets, connections, the
 * configuration, the log level and the last minutes. Like those of `schemas.ts` they type, validate and document.
 */

import { z } from "@hono/zod-openapi";
import { BUCKETS } from "../core/limits.ts";
import { CheckDownSchema, serviceName, ServiceSchema, Share } from "./schemas.ts";

// ---- checks ----

export const CheckSchema = z.object({
  name: z.string().openapi({ example: "web" }),
  kind: z.string().openapi({ example: "http" }),
  services: z.array(z.string()).openapi({
    description: "Services that it speaks for; empty: the whole node.",
  }),
  state: z.enum(["up", "down", "pending"]),
  since: z.string().openapi({ format: "date-time" }),
  reason: z.string().openapi({ description: "What its last run found, as a sentence for people." }),
  last_duration_ms: z.number().nullable().openapi({
    description: "Duration of the last run; null: none yet.",
  }),
  action: z.string().openapi({ description: "What follows when it is down.", example: "leave" }),
  failures: z.number().int().openapi({ description: "Failed runs since the start." }),
  runs: z.number().int().openapi({ description: "Runs since the start." }),
  output: z.string().optional().openapi({
    description: "The last lines that its program (`exec`) printed, at most 4,096 characters.",
  }),
}).openapi("Check");

export const ChecksSchema = z.object({
  node: z.string().openapi({ description: "The node that answers, and that runs `checks`." }),
  checks: z.array(CheckSchema),
  others: z.array(z.object({ node: z.string(), down: z.array(CheckDownSchema) })).openapi({
    description: "What is down on the other nodes, as their heartbeats say; at most four of each.",
  }),
}).openapi("Checks");

/** One check of this node. */
export type CheckAnswer = z.infer<typeof CheckSchema>;
/** What `GET /api/v1/checks` gives. */
export type ChecksAnswer = z.infer<typeof ChecksSchema>;

// ---- services ----

export const ServiceDetailSchema = ServiceSchema.extend({
  ready: z.boolean().openapi({ description: "Whether the node that answers takes new flows of it." }),
  reason: z.string(),
  checks: z.array(z.string()).openapi({ description: "Checks of this node that speak for it." }),
  nodes: z.array(z.object({
    node: z.string(),
    weight: z.number(),
    share: Share,
    claimed: Share.nullable().openapi({ description: "What it claims right now; null: not known." }),
  })),
}).openapi("ServiceDetail");

export const ServicesSchema = z.object({ services: z.array(ServiceDetailSchema) }).openapi("Services");

/** What `GET /api/v1/services` gives. */
export type ServicesAnswer = z.infer<typeof ServicesSchema>;

// ---- buckets ----

const Bitmap = z.string().nullable().openapi({
  description: `${BUCKETS / 8} bytes in base64; bucket b is bit b & 7 of byte b >> 3. null: none.`,
});

export const BucketsSchema = z.object({
  service: z.string().nullable().openapi({ description: "null: the table that decides ARP and ping." }),
  node: z.string().openapi({ description: "The node whose bits these are." }),
  nodes: z.array(z.string()).openapi({ description: "Names that `owners` counts into." }),
  owners: z.string().openapi({
    description:
      `${BUCKETS} bytes in base64: for each bucket the number of its owner in \`nodes\`; 255: nobody.`,
  }),
  claimed: Bitmap.openapi({ description: "Buckets that this node answers now." }),
  contested: Bitmap.openapi({
    description: "Buckets of this node's in which another node keeps open connections.",
  }),
  retained: Bitmap.openapi({
    description: "Buckets that moved away, and in which this node keeps connections.",
  }),
  counts: z.object({
    claimed: z.number().int(),
    contested: z.number().int(),
    retained: z.number().int(),
    awaited: z.number().int().openapi({ description: "Owned by this node, and not claimed yet." }),
  }),
}).openapi("Buckets");

export const BucketsQuery = z.object({
  service: serviceName.optional().openapi({
    description: "Default: the first service; without any, the table that decides ARP and ping.",
  }),
});

/** What `GET /api/v1/buckets` gives. */
export type BucketsAnswer = z.infer<typeof BucketsSchema>;

// ---- connections ----

/** Connections in one answer. */
export const FLOWS_PAGE_MAX = 1_000;
const FLOWS_PAGE_DEFAULT = 100;

export const FlowSchema = z.object({
  service: z.string(),
  virtual_ip: z.string(),
  virtual_port: z.number().int(),
  client: z.string(),
  client_port: z.number().int(),
  bucket: z.number().int(),
  owner: z.string().nullable().openapi({ description: "Who takes new flows of the bucket." }),
  place: z.enum(["retained", "contested", "claimed"]).openapi({
    description:
      "retained: the bucket has moved to `owner`, the connection stays here; contested: the bucket is " +
      "this node's, and another node keeps connections of it; claimed: nothing moves.",
  }),
}).openapi("Flow");

export const FlowsSchema = z.object({
  node: z.string(),
  flows: z.array(FlowSchema),
  total: z.number().int().openapi({ description: "Connections that the question is about, on all pages." }),
  next: z.string().nullable().openapi({
    description: "Give it as `after` for the next page; null: the last.",
  }),
}).openapi("Flows");

export const FlowsQuery = z.object({
  service: serviceName.optional(),
  place: z.enum(["moving", "retained", "contested", "claimed", "all"]).optional().openapi({
    description: "Default moving: retained and contested.",
  }),
  after: z.string().regex(/^[0-9a-f]{46}$/, "take it from `next`").optional(),
  limit: z.string().regex(/^[0-9]{1,4}$/, `a number from 1 to ${FLOWS_PAGE_MAX}`).transform(Number)
    .pipe(z.number().int().min(1).max(FLOWS_PAGE_MAX)).default(FLOWS_PAGE_DEFAULT)
    .openapi({ type: "integer", description: `Default ${FLOWS_PAGE_DEFAULT}.` }),
});

/** One open TCP connection of this node's kernel. */
export type FlowAnswer = z.infer<typeof FlowSchema>;
/** What `GET /api/v1/flows` gives. */
export type FlowsAnswer = z.infer<typeof FlowsSchema>;
export type FlowsQuestion = z.output<typeof FlowsQuery>;

// ---- configuration ----

export const ConfigSchema = z.object({
  node: z.string(),
  digest: z.string().openapi({
    description: "First 16 hexadecimal digits of the digest of the file in use.",
  }),
  nodes: z.array(z.object({
    node: z.string(),
    digest: z.string().nullable().openapi({ description: "null: it has not told, or is not heard." }),
    same: z.boolean().nullable(),
  })),
  config: z.record(z.string(), z.unknown()).openapi({
    description: "The configuration in use, with every default filled in; what may be secret is `(hidden)`.",
  }),
}).openapi("Config");

/** What `GET /api/v1/config` gives. */
export type ConfigAnswer = z.infer<typeof ConfigSchema>;

export const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LogLevelSchema = z.strictObject({
  level: z.enum(LOG_LEVELS).openapi({ description: "The least severe that is written to the log." }),
}).openapi("LogLevel");

// ---- the last minutes ----

const Series = z.array(z.number().nullable());

export const NodeSeriesSchema = z.object({
  flows_per_s: Series,
  packets_per_s: Series,
  retained: Series.openapi({ description: "Open connections in buckets that have moved away." }),
  claimed: Series.openapi({ description: "Fraction claimed, the mean of all services." }),
  lateness_ms: Series.openapi({ description: "Largest lateness of its heartbeats in that second." }),
}).openapi("NodeSeries");

export const HistorySchema = z.object({
  interval_ms: z.number().int().openapi({ example: 1000 }),
  at_ms: z.array(z.number()).openapi({
    description: "Moments of the samples, in ms since 1970; oldest first.",
  }),
  nodes: z.record(z.string(), NodeSeriesSchema).openapi({
    description: "By node; each list is as long as `at_ms`. null: not known at that moment.",
  }),
}).openapi("History");

export const HistoryQuery = z.object({
  after: z.string().regex(/^[0-9]{1,15}$/, "a moment is in ms since 1970").transform(Number).optional()
    .openapi({ type: "integer", description: "Only samples after this one of `at_ms`." }),
});

/** What `GET /api/v1/history` gives. */
export type HistoryAnswer = z.infer<typeof HistorySchema>;
export type NodeSeries = z.infer<typeof NodeSeriesSchema>;
