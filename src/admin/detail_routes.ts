/** The routes beside the farm itself: checks, services, buckets, connections, configuration, history, log level. */

import { createHash } from "node:crypto";
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { audited } from "./audit.ts";
import * as details from "./detail_schemas.ts";
import type { AdminEnv } from "./guard.ts";
import { findService } from "./read_routes.ts";
import { failures, json } from "./responses.ts";
import { WhoSchema } from "./schemas.ts";
import type { FarmSource } from "./source.ts";

const reads = failures(401, 429);
function reader<P extends string>(path: P, summary: string) {
  return { method: "get" as const, path, summary, tags: ["farm"] };
}

const checksRoute = createRoute({
  ...reader("/api/v1/checks", "What the checks have found"),
  responses: {
    200: json("The checks of this node, and what is down on others.", details.ChecksSchema),
    ...reads,
  },
});

const servicesRoute = createRoute({
  ...reader("/api/v1/services", "The services, and who serves each"),
  responses: { 200: json("Every service of the file.", details.ServicesSchema), ...reads },
});

const bucketsRoute = createRoute({
  ...reader("/api/v1/buckets", "Who owns which of the 65,536 buckets, and what is moving"),
  description:
    "Answers 304 to an If-None-Match with the ETag of the answer before, as long as nothing has changed.",
  request: { query: details.BucketsQuery },
  responses: {
    200: json("The bucket map of a service.", details.BucketsSchema),
    304: { description: "Nothing has changed." },
    ...failures(400, 401, 404, 429),
  },
});

const flowsRoute = createRoute({
  ...reader("/api/v1/flows", "Open connections in buckets that are moving, from this node's kernel"),
  request: { query: details.FlowsQuery },
  responses: {
    200: json("A page of connections.", details.FlowsSchema),
    ...failures(400, 401, 404, 429),
  },
});

const configRoute = createRoute({
  ...reader("/api/v1/config", "The configuration in use, and which nodes have another"),
  responses: { 200: json("Without secrets.", details.ConfigSchema), ...reads },
});

const historyRoute = createRoute({
  ...reader("/api/v1/history", "The last ten minutes, one sample a second"),
  request: { query: details.HistoryQuery },
  responses: {
    200: json("A list for each number of each node.", details.HistorySchema),
    ...failures(400, 401, 429),
  },
});

const whoRoute = createRoute({
  ...reader("/api/v1/whoami", "Who the token is, and what it allows"),
  responses: { 200: json("Name and role.", WhoSchema), ...reads },
});

const logLevelRoute = createRoute({
  ...reader("/api/v1/log-level", "What goes to the log of this node"),
  responses: { 200: json("The least severe.", details.LogLevelSchema), ...reads },
});

const setLogLevelRoute = createRoute({
  method: "put",
  path: "/api/v1/log-level",
  summary: "Change what goes to the log of this node, until its next start",
  description: "Takes the role admin. `debug` also tells of every request to this endpoint.",
  tags: ["actions"],
  request: { body: { required: true, content: { "application/json": { schema: details.LogLevelSchema } } } },
  responses: {
    200: json("It is so now.", details.LogLevelSchema),
    ...failures(400, 401, 408, 413, 415, 429),
  },
});

/** Adds the routes to `app`. */
export function addDetailRoutes(app: OpenAPIHono<AdminEnv>, source: FarmSource): void {
  app.openapi(checksRoute, (c) => {
    const { node, members } = source.farm();
    const others = members.filter((member) => !member.self && member.state !== "dead")
      .map(({ name, checks_down: down }) => ({ node: name, down: down ?? [] }));
    return c.json({ node, checks: [...source.checks()], others }, 200);
  });

  app.openapi(servicesRoute, (c) => c.json({ services: serviceDetails(source) }, 200));

  app.openapi(bucketsRoute, (c) => {
    const { service = source.services()[0]?.name } = c.req.valid("query");
    if (service !== undefined) findService(source, service);
    const answer = JSON.stringify(source.buckets(service));
    const etag = `"${createHash("sha256").update(answer).digest("base64url").slice(0, 22)}"`;
    if (c.req.header("if-none-match") === etag) return c.body(null, 304, { etag });
    // Serialized already, for the ETag.
    return c.body(answer, 200, { etag, "content-type": "application/json" }) as never;
  });

  app.openapi(flowsRoute, (c) => {
    const question = c.req.valid("query");
    if (question.service !== undefined) findService(source, question.service);
    return c.json(source.flows(question), 200);
  });

  app.openapi(configRoute, (c) => {
    const { node, members } = source.farm();
    const { digest, config } = source.configuration();
    const nodes = members.map(({ name, digest: theirs }) => ({
      node: name,
      digest: theirs ?? null,
      same: theirs === undefined ? null : theirs === digest,
    }));
    return c.json({ node, digest, nodes, config }, 200);
  });

  app.openapi(historyRoute, (c) => c.json(source.history(c.req.valid("query").after), 200));

  app.openapi(whoRoute, (c) => {
    const { name, role } = c.get("principal");
    return c.json({ name, role }, 200);
  });

  app.openapi(logLevelRoute, (c) => c.json({ level: source.logLevel }, 200));

  app.openapi(setLogLevelRoute, async (c) => {
    const { level } = c.req.valid("json");
    const action = { asked: `log level ${level}`, verb: "log-level", value: level };
    await audited(c, source, action, () => {
      const unchanged = source.logLevel === level;
      source.logLevel = level;
      return { outcome: unchanged ? "unchanged" : "done", message: `the log tells ${level} and worse` };
    });
    return c.json({ level }, 200);
  });
}

function serviceDetails(source: FarmSource): details.ServicesAnswer["services"] {
  const { members, services } = source.farm();
  const checks = source.checks();
  const nodes = members.filter(({ state }) => state !== "dead");
  return services.map((service) => ({
    ...service,
    ...source.ready(service.name),
    checks: checks.filter((check) => check.services.length === 0 || check.services.includes(service.name))
      .map(({ name }) => name),
    nodes: nodes.map((member) => ({
      node: member.name,
      weight: member.weights[service.name] ?? 0,
      share: member.shares[service.name] ?? 0,
      claimed: member.claimed?.[service.name] ?? null,
    })),
  }));
}
