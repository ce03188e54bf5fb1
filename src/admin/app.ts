/**
 * The admin endpoint, put together: guards first, then pages, probes and the API. It knows the farm only as a
 * {@link FarmSource}, and sockets not at all, so that it runs under any server and in a test without one.
 *
 * What a request passes, in this order: counted → security headers → Host and Origin → who asks, and may they →
 * body read within bounds → validated by the schema of its route → handler.
 */

import { OpenAPIHono } from "@hono/zod-openapi";
import { routePath } from "hono/route";
import type { ListenAddress } from "../config/values.ts";
import { addDetailRoutes } from "./detail_routes.ts";
import { addConsole } from "./console_page.ts";
import { addDocs } from "./docs_page.ts";
import { EventStreams, type StreamOptions } from "./event_stream.ts";
import { answerFailure, failureBody, validationFailure } from "./failure.ts";
import { type AdminEnv, BODY_WAIT_MS, boundBody, checkOrigin, peerText, securityHeaders } from "./guard.ts";
import { Metrics } from "./metrics.ts";
import { addNodeRoutes } from "./node_routes.ts";
import { addReadRoutes } from "./read_routes.ts";
import type { FarmSource } from "./source.ts";
import { authorize, FailureLimiter, type TokenStore } from "./tokens.ts";

/** What an admin app needs besides the farm; everything has a safe default. */
export interface AdminOptions extends StreamOptions {
  /** Where it listens for TCP: besides loopback, the only address that a request may be meant for. */
  readonly listen?: ListenAddress;
  /** Who may ask over TCP. Without it everybody on loopback may. */
  readonly tokens?: TokenStore;
  /** A clock that never goes back, in milliseconds; the time of the process unless told. */
  readonly nowMs?: () => number;
  /** Time for a request body to arrive. */
  readonly bodyWaitMs?: number;
  /** Is told of errors that nobody foresaw; standard error unless told. */
  readonly report?: (error: Error) => void;
  /** Largest lateness of a timer of this thread in the last seconds. */
  readonly loopLagMs?: () => number;
  /** Is told of each request that was answered. */
  readonly debug?: (text: string) => void;
}

/** The admin endpoint over a farm. Serve it with `serveAdmin`, or call its `fetch`. */
export function createAdminApp(source: FarmSource, options: AdminOptions = {}): OpenAPIHono<AdminEnv> {
  const app = new OpenAPIHono<AdminEnv>({
    defaultHook: (result) => {
      if (!result.success) throw validationFailure(result.target, result.error);
    },
  });
  const report = options.report ?? ((error) => console.error("admin endpoint:", error));
  const limiter = new FailureLimiter(options.nowMs ?? (() => performance.now()));
  const streams = new EventStreams(source.events, options);
  const metrics = new Metrics(source, () => streams.open, options.loopLagMs ?? (() => 0));

  app.onError((error, c) => answerFailure(error, c, report));
  app.notFound((c) =>
    c.json(
      failureBody("not_found", "there is nothing at this path and method", "See /docs for what there is."),
      404,
    )
  );

  app.use(async (c, next) => {
    const startMs = performance.now();
    await next();
    const durationMs = (performance.now() - startMs).toFixed(1);
    options.debug?.(`${peerText(c)}: ${c.req.method} ${c.req.path}: ${c.res.status} in ${durationMs} ms`);
    metrics.countRequest(knownMethod(c.req.method), routePath(c, -1), c.res.status);
  });
  app.use(securityHeaders);
  app.use(checkOrigin(options.listen));
  app.use(authorize(options.tokens, limiter, source.events));
  app.use(boundBody(options.bodyWaitMs ?? BODY_WAIT_MS));

  addConsole(app);
  addReadRoutes(app, source, streams, metrics);
  addDetailRoutes(app, source);
  addNodeRoutes(app, source);
  addDocs(app, source.farm().version, options.tokens !== undefined);
  return app;
}

/** A label with few values: a client may invent methods. */
function knownMethod(method: string): string {
  return ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"].includes(method) ? method : "other";
}
