/**
 * The shapes of the admin API, defined once: they validate what comes in, type what goes out and become the
 * OpenAPI document. Names on the wire are snake_case, like those of the configuration file.
 */

import { z } from "@hono/zod-openapi";
import { EVENTS_KEPT_MAX, NAME_LENGTH_MAX, WEIGHT_MAX } from "../core/limits.ts";
import { ROLES } from "./roles.ts";

/** Fraction of all buckets of a service, 0 to 1. */
export const Share = z.number().min(0).max(1).openapi({ example: 0.3333 });
const ByService = <T extends z.ZodType>(value: T) => z.record(z.string(), value);

export const MEMBER_STATES = ["joining", "up", "draining", "suspect", "leaving", "silent", "dead"] as const;

export const CheckDownSchema = z.object({
  check: z.string().openapi({ description: "Name of the check.", example: "web" }),
  reason: z.string(),
}).openapi("CheckDown");

export const MemberSchema = z.object({
  name: z.string().openapi({ example: "n1" }),
  state: z.enum(MEMBER_STATES),
  reason: z.string().openapi({ description: "Why it is in this state, as one sentence for people." }),
  self: z.boolean().openapi({ description: "Whether this is the node that answers." }),
  address: z.string().optional().openapi({
    description: "Where its heartbeats come from.",
    example: "10.0.0.1",
  }),
  incarnation: z.number().openapi({ description: "Grows with every start of its daemon." }),
  weight: z.number().openapi({ description: "The weight it asks for where no service says otherwise." }),
  weights: ByService(z.number()).openapi({ description: "Effective weight in each service." }),
  last_resort: z.array(z.string()).optional().openapi({
    description: "Services for which its own checks fail: it takes only what no healthy node can.",
  }),
  shares: ByService(Share).openapi({
    description: "Fraction of new flows of each service that is meant for it in this view.",
  }),
  claimed: ByService(Share).optional().openapi({
    description:
      "Fraction that it claims right now. Like all below, of other nodes it is what they last told.",
  }),
  since: z.string().optional().openapi({ format: "date-time", description: "When it came into this state." }),
  last_heard_ms: z.number().optional().openapi({
    description: "Age of its last heartbeat; not for this node.",
  }),
  version: z.string().optional(),
  digest: z.string().optional().openapi({
    description: "Of its configuration: equal where the files say the same.",
  }),
  application: z.object({
    configured: z.boolean().optional().openapi({
      description: "Whether there is one to start and stop; if not, `state` is the node's own.",
    }),
    state: z.string().openapi({ example: "up" }),
    reason: z.string(),
  }).optional().openapi({ description: "The application that the farm serves, on that node." }),
  checks_down: z.array(CheckDownSchema).optional().openapi({ description: "At most four." }),
  connections: z.number().int().optional().openapi({
    description:
      "Open TCP connections to the services, as of the last count: every 2 s, on a host with 100,000 sockets twice a minute.",
  }),
  retained: z.number().int().optional().openapi({
    description: "Open connections that stay there although their buckets have moved.",
  }),
  flows_per_s: z.number().optional().openapi({ description: "New TCP connections that it accepted." }),
  packets_per_s: z.number().optional().openapi({ description: "Packets that it accepted." }),
  lateness_ms: z.number().optional().openapi({
    description: "Largest lateness of its heartbeats in the last second.",
  }),
}).openapi("Member");

export const ServiceSchema = z.object({
  name: z.string().openapi({ example: "http" }),
  virtual_ips: z.array(z.string()),
  protocol: z.enum(["tcp", "udp"]),
  ports: z.array(z.object({ from: z.number(), to: z.number() })),
  affinity: z.enum(["connection", "client", "network"]),
}).openapi("Service");

export const WarningSchema = z.object({
  kind: z.string().openapi({ description: "Stable, for scripts.", example: "heartbeat.network_lost" }),
  message: z.string().openapi({ description: "What is wrong, as a sentence for people." }),
  remedy: z.string().openapi({ description: "What to do about it." }),
}).openapi("Warning");

export const HeartbeatNetworkSchema = z.object({
  network: z.string().openapi({ example: "eth0 (multicast 239.255.86.70)" }),
  sending: z.boolean().openapi({ description: "Whether the last heartbeat could be sent there." }),
  members: z.array(z.object({
    name: z.string(),
    last_heard_ms: z.number().nullable().openapi({
      description: "Age of its last heartbeat there in ms, to within a second; null: never heard there.",
    }),
  })),
}).openapi("HeartbeatNetwork");

export const FarmSchema = z.object({
  farm: z.string().openapi({ example: "web" }),
  node: z.string().openapi({ description: "The node that answers." }),
  version: z.string(),
  health: z.string().openapi({ description: "The state of the farm in one sentence." }),
  members: z.array(MemberSchema),
  services: z.array(ServiceSchema),
  warnings: z.array(WarningSchema).openapi({
    description: "What needs somebody's attention, worst first; empty if nothing does.",
  }),
  heartbeat_networks: z.array(HeartbeatNetworkSchema),
  virtual_ips: z.array(z.object({
    address: z.string().openapi({ example: "192.0.2.100" }),
    mode: z.string().openapi({ example: "multicast" }),
    mac: z.string().openapi({ example: "03:76:c0:00:02:64" }),
    interface: z.string().openapi({ example: "eth0" }),
  })),
}).openapi("Farm");

/** What `GET /api/v1/farm` gives: the farm as this node sees it. */
export type FarmStatus = z.infer<typeof FarmSchema>;
/** Something that needs attention, in {@link FarmStatus}. */
export type FarmWarning = z.infer<typeof WarningSchema>;
/** One member in {@link FarmStatus}. */
export type MemberStatus = z.infer<typeof MemberSchema>;
/** One service in {@link FarmStatus}. */
export type ServiceStatus = z.infer<typeof ServiceSchema>;

export const ExplanationSchema = z.object({
  client: z.string(),
  port: z.number().optional(),
  service: z.string().nullable().openapi({
    description: "null: no service; the table that decides ARP and ping.",
  }),
  affinity: z.enum(["connection", "client", "network"]),
  bucket: z.number().int().openapi({ example: 40_123 }),
  owner: z.string().nullable().openapi({ description: "null: no node takes this flow." }),
  runner_up: z.string().nullable().openapi({ description: "Who takes it if the owner goes." }),
  why: z.string(),
  scores: z.array(z.object({ name: z.string(), weight: z.number(), score: z.number().nullable() })),
}).openapi("Explanation");

/** What `GET /api/v1/explain` gives. */
export type ExplanationAnswer = z.infer<typeof ExplanationSchema>;

export const EventSchema = z.object({
  id: z.number().int(),
  at: z.string().openapi({ format: "date-time" }),
  severity: z.enum(["info", "warning", "error"]),
  kind: z.string().openapi({ example: "member.joined" }),
  message: z.string(),
  node: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
}).openapi("Event");

export const EventListSchema = z.object({
  events: z.array(EventSchema),
  cursor: z.string().openapi({
    description: "Give it as `after` to get what comes next.",
    example: "mf3k2a-17",
  }),
  missed: z.number().int().openapi({ description: "Events after `after` that are no longer kept." }),
  more: z.boolean().openapi({ description: "Whether there is more after `cursor`, because of `limit`." }),
}).openapi("EventList");

/** What `GET /api/v1/events?format=json` gives. */
export type EventListAnswer = z.infer<typeof EventListSchema>;

export const ReadySchema = z.object({ ready: z.boolean(), reason: z.string() }).openapi("Ready");

export const OrderAnswerSchema = z.object({
  node: z.string(),
  verb: z.string(),
  outcome: z.enum(["done", "unchanged"]),
  message: z.string(),
}).openapi("OrderAnswer");

/** What an action gives when it was carried out. */
export type OrderAnswer = z.infer<typeof OrderAnswerSchema>;

export const FailureSchema = z.object({
  error: z.object({
    code: z.string().openapi({ description: "Stable; scripts match on it.", example: "unknown_node" }),
    message: z.string(),
    remedy: z.string().openapi({ description: "What to do about it." }),
  }),
}).openapi("Failure");

/** The one shape of every refusal. */
export type FailureAnswer = z.infer<typeof FailureSchema>;

// ---- what comes in ----

export const serviceName = z.string().min(1).max(NAME_LENGTH_MAX);

export const ExplainQuery = z.object({
  client: z.string().min(1).max(64).openapi({
    description: "Address of the client.",
    example: "198.51.100.7",
  }),
  port: z.string().regex(/^[0-9]{1,5}$/, "a port is a number from 1 to 65535").transform(Number)
    .pipe(z.number().int().min(1).max(65_535)).optional()
    .openapi({ type: "integer", description: "Port of the client; needed with affinity `connection`." }),
  service: serviceName.optional().openapi({
    description: "Default: the only service, if there is one.",
    example: "http",
  }),
});

export const ReadyQuery = z.object({
  service: serviceName.optional().openapi({ description: "Ask for one service." }),
});

/** `run-id`: the run of the daemon that numbered the event, and the number. */
export const CURSOR = /^([0-9a-z]{1,16})-([0-9]{1,15})$/;

export const EventsQuery = z.object({
  format: z.enum(["sse", "json"]).optional().openapi({
    description: "Default: by the Accept header, else sse.",
  }),
  after: z.string().regex(CURSOR, "a cursor looks like mf3k2a-17").optional().openapi({
    description: "Only what happened after this cursor. A Last-Event-ID header goes before it.",
  }),
  severity: z.enum(["info", "warning", "error"]).optional().openapi({
    description: "Only events of this severity, or a worse one.",
  }),
  kind: z.string().regex(/^[a-z][a-z0-9_.]{0,99}$/, "a kind looks like member.joined").optional().openapi({
    description: "Only events of this kind, or of kinds that begin with it and a dot.",
    example: "member",
  }),
  node: z.string().min(1).max(NAME_LENGTH_MAX).optional().openapi({
    description: "Only events about this node.",
  }),
  limit: z.string().regex(/^[0-9]{1,4}$/, `a number from 1 to ${EVENTS_KEPT_MAX}`).transform(Number)
    .pipe(z.number().int().min(1).max(EVENTS_KEPT_MAX)).optional()
    .openapi({
      type: "integer",
      description: "Of a list: at most so many, the oldest after `after`, or without it the newest.",
    }),
});

export const WhoSchema = z.object({
  name: z.string().openapi({ description: "Name of the token, or of the local user." }),
  role: z.enum(ROLES),
}).openapi("Who");

export const NodeParams = z.object({
  name: z.string().min(1).max(NAME_LENGTH_MAX).openapi({
    param: { name: "name", in: "path" },
    description: "Name of the node.",
    example: "n2",
  }),
});

export const ForceQuery = z.object({
  force: z.enum(["true", "false"]).optional().openapi({
    description: "true: also if nobody is left to serve new flows.",
  }),
});

export const WeightBody = z.strictObject({
  weight: z.number().int().min(0).max(WEIGHT_MAX).openapi({ example: 50 }),
}).openapi("Weight");
