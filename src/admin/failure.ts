/** How the admin API says no: one error type inside, one JSON shape outside. */

import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { z } from "@hono/zod-openapi";
import { VipfarmError } from "../core/errors.ts";
import type { FailureAnswer } from "./schemas.ts";

/** Status codes that the API refuses with. Each is documented with its route. */
export type FailureStatus = 400 | 401 | 403 | 404 | 408 | 409 | 413 | 415 | 429 | 500 | 503;

/** A refusal on its way to the client. */
export class ApiFailure extends Error {
  constructor(
    readonly status: FailureStatus,
    readonly code: string,
    message: string,
    readonly remedy: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.name = "ApiFailure";
  }
}

/** The JSON body of a refusal. */
export function failureBody(code: string, message: string, remedy: string): FailureAnswer {
  return { error: { code, message, remedy } };
}

/** Turns whatever a handler threw into an answer. Only what nobody foresaw becomes a 500, and is reported. */
export function answerFailure(error: Error, c: Context, report: (error: Error) => void): Response {
  if (error instanceof ApiFailure) {
    return c.json(failureBody(error.code, error.message, error.remedy), error.status, { ...error.headers });
  }
  if (error instanceof HTTPException && error.status < 500) {
    const code = error.status === 415 ? "unsupported_media_type" : "malformed_request";
    const remedy = error.status === 415
      ? "Send the body as application/json."
      : "Send a body that is valid JSON; /docs shows its shape.";
    return c.json(failureBody(code, error.message, remedy), error.status === 415 ? 415 : 400);
  }
  if (error instanceof VipfarmError) {
    return c.json(
      failureBody("refused", error.message, error.remedy ?? "See /docs for what can be asked."),
      409,
    );
  }
  report(error);
  const remedy = "This is a defect of vipfarm: report it with the daemon's log.";
  return c.json(failureBody("internal", "the request could not be answered", remedy), 500);
}

/** The refusal of input that its schema does not allow: every problem with its place. */
export function validationFailure(target: string, error: z.core.$ZodError): ApiFailure {
  const place: Record<string, string> = { json: "body", param: "path", query: "query", header: "header" };
  const problems = error.issues.map((issue) =>
    [place[target] ?? target, ...issue.path].join(".") + ": " + issue.message
  );
  return new ApiFailure(
    400,
    "invalid_request",
    problems.join("; "),
    "See /docs for what this request takes.",
  );
}
