/** The routes that act: what may be asked of a node, by whom, and when it takes a second word (`force`). */

import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { ApiFailure } from "./failure.ts";
import { type AdminEnv, peerText } from "./guard.ts";
import { failures, json } from "./responses.ts";
import * as schemas from "./schemas.ts";
import type { FarmSource, MemberStatus, OrderVerb } from "./source.ts";

const answers = {
  200: json("It was carried out, or there was nothing to do.", schemas.OrderAnswerSchema),
  ...failures(400, 401, 404, 408, 409, 413, 429),
};

const VerbParams = schemas.NodeParams.extend({
  verb: z.enum(["drain", "resume", "start", "stop", "restart"]).openapi({
    param: { name: "verb", in: "path" },
  }),
});

const verbRoute = createRoute({
  method: "post",
  path: "/api/v1/nodes/{name}/{verb}",
  summary: "Drain a node, resume it, or steer its application",
  description:
    "A drained node takes no new flows and keeps its open connections. Draining the last node that " +
    "takes new flows asks for `?force=true`.",
  tags: ["actions"],
  request: { params: VerbParams, query: schemas.ForceQuery },
  responses: answers,
});

const weightRoute = createRoute({
  method: "put",
  path: "/api/v1/nodes/{name}/weight",
  summary: "Change the weight of a node until its next start",
  tags: ["actions"],
  request: {
    params: schemas.NodeParams,
    query: schemas.ForceQuery,
    body: { required: true, content: { "application/json": { schema: schemas.WeightBody } } },
  },
  responses: { ...answers, ...failures(415) },
});

/** Adds the routes to `app`. */
export function addNodeRoutes(app: OpenAPIHono<AdminEnv>, source: FarmSource): void {
  app.openapi(verbRoute, async (c) => {
    const { name, verb } = c.req.valid("param");
    requireNode(source, name);
    if (verb !== "drain" && verb !== "resume") {
      throw new ApiFailure(
        409,
        "no_application",
        `${verb}: no application is configured for this farm`,
        "This version steers traffic only: use drain and resume, and the host's own service manager.",
      );
    }
    if (verb === "drain") requireOthers(source, name, c.req.valid("query").force);
    return c.json(await order(c, source, name, verb), 200);
  });

  app.openapi(weightRoute, async (c) => {
    const { name } = c.req.valid("param");
    const { weight } = c.req.valid("json");
    requireNode(source, name);
    if (weight === 0) requireOthers(source, name, c.req.valid("query").force);
    return c.json(await order(c, source, name, "weight", weight), 200);
  });
}

function requireNode(source: FarmSource, name: string): void {
  const members = source.farm().members;
  if (members.some((member) => member.name === name)) return;
  const known = members.map((member) => member.name).join(", ");
  throw new ApiFailure(404, "unknown_node", "this farm has no node of that name", `Known: ${known}.`);
}

/** Whether new flows go to this member in the present view. */
function serves(member: MemberStatus): boolean {
  return Object.values(member.shares).some((share) => share > 0);
}

/** Refuses to take away the last node that serves new flows, unless forced. */
function requireOthers(source: FarmSource, name: string, force: string | undefined): void {
  if (force === "true") return;
  const serving = source.farm().members.filter(serves);
  if (serving.length !== 1 || serving[0].name !== name) return;
  throw new ApiFailure(
    409,
    "last_serving_node",
    `${name} is the only node that takes new flows: without it, no new client is served`,
    "Bring another node back first, or force it (--force, ?force=true).",
  );
}

/** Carries an order out and writes down who gave it, from where, and what became of it. */
async function order(
  c: Context<AdminEnv>,
  source: FarmSource,
  node: string,
  verb: OrderVerb,
  value?: number,
): Promise<schemas.OrderAnswer> {
  const result = await source.order(node, verb, value);
  const who = c.get("principal");
  const asked = value === undefined ? `${verb} ${node}` : `${verb} ${node} ${value}`;
  source.events.record({
    severity: result.outcome === "refused" ? "warning" : "info",
    kind: "admin.action",
    message: `${asked}, asked by ${who.name} (${who.role}) from ${peerText(c)}: ${result.message}`,
    node,
    details: { verb, value, who: who.name, role: who.role, from: peerText(c), outcome: result.outcome },
  });
  if (result.outcome === "refused") throw new ApiFailure(409, result.code, result.message, result.remedy);
  return { node, verb, outcome: result.outcome, message: result.message };
}
