/** The routes that act: what may be asked of a node, by whom, and when it takes a second word (`force`). */

import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { audited } from "./audit.ts";
import { ApiFailure } from "./failure.ts";
import type { AdminEnv } from "./guard.ts";
import { failures, json } from "./responses.ts";
import * as schemas from "./schemas.ts";
import type { FarmSource, MemberStatus, OrderVerb } from "./source.ts";

const answers = {
  200: json("It was carried out, or there was nothing to do.", schemas.OrderAnswerSchema),
  ...failures(400, 401, 404, 408, 409, 413, 429),
};

const VerbParams = schemas.NodeParams.extend({
  verb: z.enum(["drain", "resume", "start", "stop", "restart", "reload"]).openapi({
    param: { name: "verb", in: "path" },
  }),
});

const verbRoute = createRoute({
  method: "post",
  path: "/api/v1/nodes/{name}/{verb}",
  summary: "Drain a node, resume it, steer its application, or reload its configuration",
  description:
    "Any node of the farm can be named, whichever is asked. A drained node takes no new flows and keeps " +
    "its open connections. To drain, stop or restart the last node that takes new flows asks for `?force=true`. " +
    "`reload` takes the role admin, everything else control.",
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
    const takesAway = verb === "drain" || verb === "stop" || verb === "restart";
    const forced = !takesAway || c.req.valid("query").force === "true";
    return c.json(await order(c, source, name, verb, undefined, forced), 200);
  });

  app.openapi(weightRoute, async (c) => {
    const { name } = c.req.valid("param");
    const { weight } = c.req.valid("json");
    const forced = weight > 0 || c.req.valid("query").force === "true";
    return c.json(await order(c, source, name, "weight", weight, forced), 200);
  });
}

function requireNode(members: readonly MemberStatus[], name: string): void {
  const member = members.find((candidate) => candidate.name === name);
  if (member === undefined) {
    const known = members.map((candidate) => candidate.name).join(", ");
    throw new ApiFailure(404, "unknown_node", "this farm has no node of that name", `Known: ${known}.`);
  }
  if (member.state === "dead") {
    throw new ApiFailure(
      409,
      "node_gone",
      `${name} is not in the farm any more: ${member.reason}`,
      "Start vipfarm there, and ask again when `vipfarm status` shows it.",
    );
  }
}

/** Whether new flows go to this member in the present view. */
function serves(member: MemberStatus): boolean {
  return Object.values(member.shares).some((share) => share > 0);
}

/** Refuses to take away the last node that serves new flows. */
function requireOthers(members: readonly MemberStatus[], name: string): void {
  const serving = members.filter(serves);
  if (serving.length !== 1 || serving[0].name !== name) return;
  throw new ApiFailure(
    409,
    "last_serving_node",
    `${name} is the only node that takes new flows: without it, no new client is served`,
    "Bring another node back first, or force it (--force, ?force=true).",
  );
}

/** Carries an order out, unless it would leave nobody to serve and is not forced. */
async function order(
  c: Context<AdminEnv>,
  source: FarmSource,
  node: string,
  verb: OrderVerb,
  value: number | undefined,
  forced: boolean,
): Promise<schemas.OrderAnswer> {
  const asked = value === undefined ? `${verb} ${node}` : `${verb} ${node} ${value}`;
  const { outcome, message } = await audited(c, source, { asked, node, verb, value }, async () => {
    const { members } = source.farm();
    requireNode(members, node);
    if (!forced) requireOthers(members, node);
    const result = await source.order(node, verb, value);
    if (result.outcome !== "refused") return result;
    throw new ApiFailure(409, result.code, result.message, result.remedy);
  });
  return { node, verb, outcome, message };
}
