/** The ways to tell somebody: a script, a webhook, the host's sendmail. Each tries once, and says how it went. */
import { type NotifyConfig } from "../config/application_config.ts";
import { readSecretFile } from "../config/secret_file.ts";
import { type FarmEvent } from "../core/events.ts";
import { runProgram } from "../host/run_program.ts";

/** What is told: an event, and where it happened. */
export interface Notice {
  readonly farm: string;
  /** Node that tells. */
  readonly node: string;
  readonly event: FarmEvent;
}

/** How an attempt went. */
export type Attempt =
  | { readonly arrived: true }
  /** `hopeless`: the same again would fail again. */
  | { readonly arrived: false; readonly problem: string; readonly hopeless: boolean };

export interface Channel {
  readonly name: string;
  /** Notices that go at once. */
  readonly countMax: number;
  send(notices: readonly Notice[], calledOff: AbortSignal): Promise<Attempt>;
}

/** A script or sendmail that takes longer hangs. */
const PROGRAM_TIMEOUT_MS = 30_000;
/** A mail with more is read by nobody. */
const NOTICES_PER_MAIL_MAX = 50;
/** Answers of a webhook that say: not now, rather than: not this (RFC 9110 section 15.5.9, RFC 6585 section 4). */
const NOT_NOW = [408, 425, 429];

/** The ways that are configured. */
export function channels(config: NotifyConfig): Channel[] {
  const { script, webhook, mail } = config;
  return [
    ...(script ? [{ name: "script", countMax: 1, send: sendByScript(script) }] : []),
    ...(webhook ? [{ name: "webhook", countMax: 1, send: sendByWebhook(webhook) }] : []),
    ...(mail ? [{ name: "mail", countMax: NOTICES_PER_MAIL_MAX, send: sendByMail(mail) }] : []),
  ];
}

function sendByScript(argv: NonNullable<NotifyConfig["script"]>): Channel["send"] {
  return async ([{ farm, node, event }], calledOff) => {
    const env = {
      VIPFARM_FARM: farm,
      VIPFARM_NODE: node,
      VIPFARM_EVENT: event.kind,
      VIPFARM_SEVERITY: event.severity,
      VIPFARM_MESSAGE: event.message,
      VIPFARM_TIME: event.at,
      VIPFARM_SUBJECT: event.node ?? "",
      VIPFARM_DETAILS: JSON.stringify(event.details ?? {}),
    };
    return await byProgram({ argv, env }, calledOff);
  };
}

function sendByMail({ to, from, sendmail }: NonNullable<NotifyConfig["mail"]>): Channel["send"] {
  return async (notices, calledOff) => {
    const [{ farm, node, event }] = notices;
    const more = notices.length === 1 ? "" : ` (and ${notices.length - 1} more)`;
    const input = [
      ...(from === undefined ? [] : [`From: ${from}`]),
      `To: ${to.join(", ")}`,
      `Subject:${encodedWord(`[vipfarm ${farm}] ${event.message}${more}`)}`,
      `Date: ${new Date(event.at).toUTCString().replace("GMT", "+0000")}`,
      "Auto-Submitted: auto-generated",
      "MIME-Version: 1.0",
      "Content-Type: text/plain; charset=utf-8",
      "Content-Transfer-Encoding: 8bit",
      "",
      `Farm ${farm}, told by node ${node}:`,
      "",
      ...notices.map(({ event: { at, severity, kind, message } }) =>
        `${at} ${severity} ${kind}: ${line(message)}`
      ),
      "",
    ].join("\n");
    // -i: a line with a dot alone ends nothing. -t: recipients from the header.
    return await byProgram({ argv: [sendmail, "-i", "-t"], input }, calledOff);
  };
}

async function byProgram(
  program: { argv: readonly [string, ...string[]]; env?: Record<string, string>; input?: string },
  calledOff: AbortSignal,
): Promise<Attempt> {
  const result = await runProgram(
    { ...program, timeoutMs: PROGRAM_TIMEOUT_MS, leftBehind: "leave" },
    calledOff,
  );
  if (result.outcome === "exited" && result.code === 0) return { arrived: true };
  const words = result.output.at(-1);
  const problem = `${program.argv[0]} ${result.how}${words === undefined ? "" : `: ${words}`}`;
  return { arrived: false, problem, hopeless: false };
}

function sendByWebhook({ url, tokenFile, timeoutMs }: NonNullable<NotifyConfig["webhook"]>): Channel["send"] {
  return async ([notice], calledOff) => {
    try {
      const token = tokenFile === undefined ? undefined : (await readToken(tokenFile)).trim();
      const response = await fetch(url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify(notice),
        redirect: "error",
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), calledOff]),
      });
      await response.body?.cancel();
      if (response.ok) return { arrived: true };
      const hopeless = response.status >= 400 && response.status < 500 && !NOT_NOW.includes(response.status);
      return { arrived: false, problem: `the webhook answered ${response.status}`, hopeless };
    } catch (error) {
      const { message } = error instanceof Error && error.cause instanceof Error
        ? error.cause
        : error as Error;
      // Whoever knows the address may write there, and events are read by many.
      const problem = message.replaceAll(new URL(url).href, new URL(url).origin);
      return { arrived: false, problem, hopeless: false };
    }
  };
}

async function readToken(file: string): Promise<string> {
  return await readSecretFile("read the webhook's token", file, "notify.webhook.token_file");
}

function line(text: string): string {
  return text.replaceAll(/\s+/g, " ");
}

/** Text in a header: as it is, or as encoded words of at most 75 characters (RFC 2047 section 2). */
function encodedWord(text: string): string {
  const plain = line(text).slice(0, 200);
  if (/^[ -~]*$/.test(plain)) return ` ${plain}`;
  // 15 characters are at most 45 bytes in UTF-8 (of the basic plane), hence 60 in base64.
  const words = [...plain].reduce<string[]>((words, each) => {
    const last = words.at(-1);
    if (last === undefined || new TextEncoder().encode(last + each).length > 45) return [...words, each];
    return [...words.slice(0, -1), last + each];
  }, []);
  // On lines of their own: the header's name would make the first one too long.
  return words.map((word) => `\n =?utf-8?B?${new TextEncoder().encode(word).toBase64()}?=`).join("");
}
