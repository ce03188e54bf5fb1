import assert from "node:assert/strict";
import { type NotifyConfig } from "../../../src/config/application_config.ts";
import { type FarmEvent, type FarmEventInit } from "../../../src/core/events.ts";
import { isWanted, Notifier } from "../../../src/notify/notifier.ts";

const config = (more: Partial<NotifyConfig>): NotifyConfig => ({
  severity: "info",
  events: ["state", "check", "member.dead"],
  ...more,
});
const event = (id: number, more: Partial<FarmEvent> = {}): FarmEvent => ({
  id,
  at: "2030-01-02T03:04:05.000Z",
  severity: "info",
  kind: "state.up",
  message: `n1 is up: número ${id}.`,
  node: "n1",
  details: { from: "waiting" },
  ...more,
});

async function until<T>(look: () => T | undefined | false): Promise<T> {
  for (let looks = 0; looks < 1_000; looks++) {
    const found = look();
    if (found) return found;
    await new Promise((next) => setTimeout(next, 10));
  }
  assert.fail("it did not come");
}

/** A notifier with what it tells the log. */
function start(config: NotifyConfig) {
  const told: FarmEventInit[] = [];
  const notifier = new Notifier(config, {
    farm: "web",
    node: "n1",
    nowMs: () => performance.now(),
    record: (event) => void told.push(event),
  });
  return { notifier, told, [Symbol.dispose]: () => void notifier.close() };
}

Deno.test("severity and kind say what is told; nothing is told of notifications themselves", () => {
  const wanted = (kind: string, severity: FarmEvent["severity"], more: Partial<NotifyConfig> = {}) =>
    isWanted(config(more), event(1, { kind, severity }));
  assert.ok(wanted("state.failed", "error") && wanted("check.down", "info") && wanted("member.dead", "info"));
  assert.ok(
    !wanted("member.deadly", "error") && !wanted("member.joined", "error") && !wanted("statement", "error"),
  );
  assert.ok(
    !wanted("state.up", "info", { severity: "warning" }) &&
      wanted("state.up", "error", { severity: "warning" }),
  );
  assert.ok(!wanted("notify.failed", "error", { events: ["notify"] }));
});

Deno.test("a script is told by its environment, one event after the other", async () => {
  const directory = await Deno.makeTempDir();
  const script = `${directory}/told.sh`;
  await Deno.writeTextFile(
    script,
    `#!/bin/sh\necho "$VIPFARM_EVENT|$VIPFARM_SEVERITY|$VIPFARM_MESSAGE|$VIPFARM_NODE|$VIPFARM_FARM|$VIPFARM_DETAILS" >> ${directory}/out\n`,
    { mode: 0o755 },
  );
  using running = start(config({ script: [script] }));
  for (let id = 1; id <= 3; id++) running.notifier.take(event(id));
  const read = () => {
    try {
      return Deno.readTextFileSync(`${directory}/out`).trimEnd().split("\n");
    } catch {
      return [];
    }
  };
  await until(() => read().length === 3);
  assert.equal(read()[0], `state.up|info|n1 is up: número 1.|n1|web|{"from":"waiting"}`);
  assert.deepEqual(read().map((line) => /número (\d)/.exec(line)?.[1]), ["1", "2", "3"]);
  assert.deepEqual(running.told, []);
  await Deno.remove(directory, { recursive: true });
});

Deno.test("a webhook gets JSON, is tried again when it fails, and not when it refuses", async () => {
  const answers = [503, 200, 400];
  const got: Array<{ event: FarmEvent; farm: string }> = [];
  const tokens: Array<string | null> = [];
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    got.push(await request.json());
    tokens.push(request.headers.get("authorization"));
    return new Response("ok", { status: answers.shift() ?? 200 });
  });
  const tokenFile = await Deno.makeTempFile();
  await Deno.writeTextFile(tokenFile, "s3cret\n");
  const url = `http://127.0.0.1:${server.addr.port}/hook`;
  using running = start(config({ webhook: { url, tokenFile, timeoutMs: 5_000 } }));
  for (let id = 1; id <= 3; id++) running.notifier.take(event(id));
  await until(() => got.length === 4);
  await until(() => running.told.length === 2);
  assert.deepEqual(got.map(({ event }) => event.id), [1, 1, 2, 3]);
  assert.deepEqual([got[0].farm, got[0].event.message, tokens[0]], [
    "web",
    "n1 is up: número 1.",
    "Bearer s3cret",
  ]);
  assert.deepEqual(running.told.map(({ kind, message }) => [kind, message]), [
    ["notify.failed", "Notification by webhook: the webhook answered 503. It is tried again."],
    ["notify.given_up", "Notification by webhook: the webhook answered 400. It is left out."],
  ]);

  await Deno.chmod(tokenFile, 0o644);
  running.notifier.take(event(4));
  await until(() => running.told.length === 3);
  assert.match(running.told[2].message, /read the webhook's token: others may read it/);
  assert.equal(got.length, 4, "a token that others may read is not sent");
  await Deno.remove(tokenFile);

  const nobody = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  nobody.close();
  const secretUrl = `http://127.0.0.1:${nobody.addr.port}/hunter2`;
  using unheard = start(config({ webhook: { url: secretUrl, timeoutMs: 5_000 } }));
  unheard.notifier.take(event(5));
  await until(() => unheard.told.length === 1);
  assert.match(unheard.told[0].message, /Connection refused/);
  assert.doesNotMatch(unheard.told[0].message, /hunter2/);
});

Deno.test("mail: what comes together goes in one, with a header that every mailer can read", async () => {
  const directory = await Deno.makeTempDir();
  const sendmail = `${directory}/sendmail`;
  await Deno.writeTextFile(
    sendmail,
    `#!/bin/sh\n{ echo "$@"; cat; } > ${directory}/out.new && mv ${directory}/out.new ${directory}/out\n`,
    { mode: 0o755 },
  );
  using running = start(
    config({ mail: { to: ["root", "admin@example.com"], from: "farm@example.com", sendmail } }),
  );
  running.notifier.take(event(1));
  running.notifier.take(event(2));
  const mail = await until(() => {
    try {
      return Deno.readTextFileSync(`${directory}/out`);
    } catch {
      return undefined;
    }
  });
  const [head, body] = mail.split("\n\n").slice(0, 2);
  assert.match(head, /^-i -t\nFrom: farm@example.com\nTo: root, admin@example.com\nSubject:\n =\?utf-8\?B\?/);
  assert.ok(head.split("\n").every((line) => line.length <= 78));
  assert.equal(body, "Farm web, told by node n1:");
  assert.match(mail, /state\.up: n1 is up: número 1\.\n.*state\.up: n1 is up: número 2\.\n$/);
  await Deno.remove(directory, { recursive: true });
});

Deno.test("the last words are told before the end, and what hangs ends with it", async () => {
  const directory = await Deno.makeTempDir();
  const script = `${directory}/told.sh`;
  const write = (body: string) => Deno.writeTextFile(script, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  await write(`sleep 0.1; echo "$VIPFARM_MESSAGE" >> ${directory}/out`);
  using ending = start(config({ script: [script] }));
  for (let id = 1; id <= 3; id++) ending.notifier.take(event(id));
  await ending.notifier.tried();
  assert.equal(Deno.readTextFileSync(`${directory}/out`).split("\n").length, 4);

  await write("exit 1");
  ending.notifier.take(event(4));
  await ending.notifier.tried();
  assert.equal(ending.told[0].kind, "notify.failed");

  await write(`echo $$ > ${directory}/pid; exec sleep 60`);
  using hanging = start(config({ script: [script] }));
  hanging.notifier.take(event(5));
  const pid = await until(() => {
    try {
      return Number(Deno.readTextFileSync(`${directory}/pid`));
    } catch {
      return undefined;
    }
  });
  await hanging.notifier.close();
  assert.throws(() => Deno.statSync(`/proc/${pid}`), Deno.errors.NotFound);
  await Deno.remove(directory, { recursive: true });
});
