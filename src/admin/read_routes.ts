/** The routes that only tell: health, readiness, the farm, who serves a client, events, metrics. */

import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { parseAddress } from "../core/address.ts";
import { VipfarmError } from "../core/errors.ts";
import { EVENTS_KEPT_MAX } from "../core/limits.ts";
import { type EventFilter, wants } from "./event_filter.ts";
import type { EventLog } from "./event_log.ts";
import { type EventStreams, shared } from "./event_stream.ts";
import { ApiFailure } from "./failure.ts";
import type { AdminEnv } from "./guard.ts";
import type { Metrics } from "./metrics.ts";
import { failures, json } from "./responses.ts";
import * as schemas from "./schemas.ts";
import type { FarmSource, ServiceStatus } from "./source.ts";

const healthRoute = createRoute({
  method: "get",
  path: "/healthz",
  summary: "Does the daemon live?",
  tags: ["probes"],
  responses: { 200: { description: "It does.", content: { "text/plain": { schema: z.string() } } } },
});

const readyRoute = createRoute({
  method: "get",
  path: "/readyz",
  summary: "Does this node take new flows?",
  description: "For an external load balancer or an orchestrator; `?service=` asks for one service.",
  tags: ["probes"],
  request: { query: schemas.ReadyQuery },
  responses: {
    200: json("It does.", schemas.ReadySchema),
    ...failures(400, 404),
    503: json("It does not.", schemas.ReadySchema),
  },
});

const metricsRoute = createRoute({
  method: "get",
  path: "/metrics",
  summary: "Metrics for Prometheus",
  tags: ["probes"],
  responses: {
    200: { description: "All metrics.", content: { "text/plain": { schema: z.string() } } },
    ...failures(401, 429),
  },
});

const farmRoute = createRoute({
  method: "get",
  path: "/api/v1/farm",
  summary: "The farm as this node sees it",
  tags: ["farm"],
  responses: { 200: json("Members, services and virtual IPs.", schemas.FarmSchema), ...failures(401, 429) },
});

const explainRoute = createRoute({
  method: "get",
  path: "/api/v1/explain",
  summary: "Who serves this client, and why?",
  tags: ["farm"],
  request: { query: schemas.ExplainQuery },
  responses: {
    200: json("The bucket and its owner.", schemas.ExplanationSchema),
    ...failures(400, 401, 404, 409, 429),
  },
});

const eventsRoute = createRoute({
  method: "get",
  path: "/api/v1/events",
  summary: "What happened, and what happens",
  description:
    "Server-sent events: what is kept, then what comes. A reconnecting client sends Last-Event-ID. " +
    "`?format=json` or `Accept: application/json` gives the list of what is kept. An event `missed` says that " +
    "the client was too slow, and by how many events.",
  tags: ["farm"],
  request: { query: schemas.EventsQuery },
  responses: {
    200: {
      description: "A stream of events, or a list of them.",
      content: {
        "text/event-stream": { schema: z.string() },
        "application/json": { schema: schemas.EventListSchema },
      },
    },
    ...failures(400, 401, 429),
  },
});

const watchRoute = createRoute({
  method: "get",
  path: "/api/v1/watch",
  summary: "The farm as it changes",
  description:
    "Server-sent events: those of `/api/v1/events`, and every second, and with every event, one named `farm` with what " +
    "`/api/v1/farm` gives.",
  tags: ["farm"],
  request: { query: schemas.EventsQuery.omit({ format: true, limit: true }) },
  responses: {
    200: { description: "A stream.", content: { "text/event-stream": { schema: z.string() } } },
    ...failures(400, 401, 429),
  },
});

/** Adds the routes to `app`. */
export function addReadRoutes(
  app: OpenAPIHono<AdminEnv>,
  source: FarmSource,
  streams: EventStreams,
  metrics: Metrics,
): void {
  const farmText = shared(() => JSON.stringify(source.farm()), source.events);

  app.openapi(healthRoute, (c) => c.text("ok\n", 200));

  app.openapi(readyRoute, (c) => {
    const { service } = c.req.valid("query");
    if (service !== undefined) findService(source, service);
    const { ready, reason } = source.ready(service);
    return ready ? c.json({ ready, reason }, 200) : c.json({ ready, reason }, 503);
  });

  app.openapi(metricsRoute, async (c) => {
    const { body, contentType } = await metrics.text();
    return c.text(body, 200, { "content-type": contentType });
  });

  app.openapi(farmRoute, (c) => c.json(source.farm(), 200));

  app.openapi(explainRoute, (c) => {
    const { client, port, service: name } = c.req.valid("query");
    const address = parseAddress(client);
    if (address === undefined) {
      const remedy = "Give an IPv4 or IPv6 address, without port and without brackets.";
      throw new ApiFailure(400, "invalid_request", "query.client: this is not an IP address", remedy);
    }
    const services = source.services();
    const service = name !== undefined
      ? findService(source, name)
      : services.length === 1
      ? services[0]
      : undefined;
    if (service?.affinity === "connection" && port === undefined) {
      throw new ApiFailure(
        400,
        "port_required",
        `each connection of ${address.text} to ${service.name} is decided by its port (affinity connection)`,
        "Give the port that the client connects from, too: port=N, or ADDRESS:PORT with `vipfarm explain`.",
      );
    }
    return c.json({ client: address.text, port, ...explanation(source, address, port, service) }, 200);
  });

  app.openapi(eventsRoute, (c) => {
    const { format, after, limit, ...filter } = c.req.valid("query");
    const cursor = c.req.header("last-event-id") ?? after;
    const accept = c.req.header("accept") ?? "";
    const wantsJson = accept.includes("application/json") && !accept.includes("text/event-stream");
    if (format === "sse" || (format === undefined && !wantsJson)) return streams.answer(c, cursor, filter);
    return c.json(listed(source.events, cursor, filter, limit), 200);
  });

  app.openapi(watchRoute, (c) => {
    const { after, ...filter } = c.req.valid("query");
    return streams.answer(c, c.req.header("last-event-id") ?? after, filter, farmText);
  });
}

/** The events that a reader wants: the first after its cursor, or without one the last. */
function listed(
  log: EventLog,
  cursor: string | undefined,
  filter: EventFilter,
  limit = EVENTS_KEPT_MAX,
): schemas.EventListAnswer {
  const { events, missed } = log.list(log.position(cursor));
  const wanted = events.filter((event) => wants(filter, event));
  const more = cursor !== undefined && wanted.length > limit;
  const shown = cursor === undefined ? wanted.slice(-limit) : wanted.slice(0, limit);
  return { events: shown, cursor: log.cursor(more ? shown[shown.length - 1].id : log.lastId), missed, more };
}

/** @throws ApiFailure 404 if there is no such service. */
export function findService(source: FarmSource, name: string): ServiceStatus {
  const services = source.services();
  const service = services.find((candidate) => candidate.name === name);
  if (service !== undefined) return service;
  const known = services.map((candidate) => candidate.name).join(", ") || "none is configured";
  throw new ApiFailure(404, "unknown_service", "this farm has no service of that name", `Known: ${known}.`);
}

function explanation(
  source: FarmSource,
  address: Parameters<FarmSource["explain"]>[0],
  port: number | undefined,
  service: ServiceStatus | undefined,
): Omit<schemas.ExplanationAnswer, "client" | "port"> {
  try {
    const found = source.explain(address, port, service?.name);
    return {
      service: found.service ?? null,
      affinity: found.affinity,
      bucket: found.bucket,
      owner: found.owner ?? null,
      runner_up: found.runnerUp ?? null,
      why: found.why,
      scores: found.scores.map(({ name, weight, score }) => ({
        name,
        weight,
        score: Number.isFinite(score) ? score : null, // JSON has no infinity
      })),
    };
  } catch (error) {
    if (!(error instanceof VipfarmError)) throw error;
    throw new ApiFailure(409, "cannot_explain", error.message, error.remedy ?? "Ask `vipfarm status`.");
  }
}
