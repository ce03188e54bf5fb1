/**
 * The console in a real browser, against a real farm of three. The browser runs on the client's machine and reaches
 * the nodes' endpoints over the farm's own network, with tokens, as an administrator would.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Browser } from "puppeteer-core";
import type { Lab } from "../../src/lab/lab.ts";
import { farmUnavailable, http, startFarm } from "../netns/farm_support.ts";
import { browserUnavailable, DESKTOP, PHONE, startBrowser, WatchedPage } from "./browser.ts";

const unavailable = farmUnavailable ?? browserUnavailable();
if (unavailable !== undefined) console.log(`skipped: ${unavailable}`);

const ADMIN_PORT = 9010;
const TOKENS = { monitor: "a-token-that-looks", control: "a-token-that-acts", admin: "a-token-that-may-all" };
/**
 * A killed node is shown dead within this. What the farm itself took longer than its five intervals to notice, on a
 * busy machine, is not the page's; and of some attempts one must hold.
 */
const RED_MS_MAX = 1_000;
const NOTICED_MS = 500;
const ATTEMPTS_MAX = 4;
const CONNECTIONS = 60;
const EXPLAINED_FLOWS = 6;

/** What Chromium itself logs for an answer that the test asked for. */
const EXPECTED = /^Failed to load resource: (the server responded with a status of (401|403|409)|net::ERR_)/;

async function withConsole(
  run: (lab: Lab, browser: Browser, directory: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    const tokensFile = `${directory}/tokens`;
    const lines = Object.entries(TOKENS).map(([role, token]) =>
      `${role} test-${role} ${createHash("sha256").update(token).digest("hex")}\n`
    );
    await Deno.writeTextFile(tokensFile, lines.join(""), { mode: 0o600 });
    await using lab = await startFarm({
      nodes: 3,
      clients: 2,
      config: {
        admin: { listen: `0.0.0.0:${ADMIN_PORT}`, tokens_file: tokensFile },
        checks: [{ name: "script", exec: { command: ["/bin/echo", "all is well"] }, on_failure: "none" }],
      },
    });
    const browser = await startBrowser(lab.namespace("c1"), directory);
    try {
      await run(lab, browser, directory);
    } finally {
      await browser.close();
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function urlOf(lab: Lab, node: string): string {
  return `http://${lab.node(node).station.ipv4}:${ADMIN_PORT}/`;
}

async function signIn(page: WatchedPage, token: string): Promise<void> {
  await page.fill("#token", token);
  await page.click("#sign-in button[type=submit]");
}

const stateOf = (node: string) => `document.querySelector('[data-node=${node}]')?.dataset.state`;
const LIVE = "document.querySelector('#link')?.dataset.state === 'live'";

/** Opens the confirmation of a node's first button, and gives what it says. */
async function askFirst(page: WatchedPage, node: string): Promise<string> {
  await page.click(`[data-node=${node}] .actions button`);
  await page.until("document.querySelector('#action')?.open === true");
  return await page.text("#action");
}

async function confirm(page: WatchedPage): Promise<void> {
  await page.click("#action button[type=submit]");
  await page.until("document.querySelector('#action') === null");
}

async function refusals(page: WatchedPage): Promise<void> {
  await signIn(page, "not-a-token");
  await page.until("document.querySelector('#token-problem')?.innerText.includes('not known')");
  await signIn(page, TOKENS.monitor);
  await page.until(LIVE);
  await page.until("document.querySelectorAll('.node').length === 3");
  await page.until("document.querySelector('header').innerText.includes('monitor')");
  const enabled = await page.evaluate<number>("document.querySelectorAll('.actions :enabled').length");
  assert.equal(enabled, 0, "who may only look gets no buttons");
  const offered = () => page.text("[data-node=n2] .actions select");
  const status = await page.evaluate<number>(
    `fetch("/api/v1/nodes/n2/drain", { method: "POST", headers: { authorization: "Bearer ${TOKENS.monitor}" } })` +
      ".then((answer) => answer.status)",
  );
  assert.equal(status, 403, "and the node itself refuses");
  const stored = await page.evaluate<string>(
    "location.href + document.cookie + JSON.stringify(localStorage)",
  );
  assert.ok(
    !stored.includes(TOKENS.monitor),
    "the token is in no address, and nowhere that outlives the tab",
  );
  await page.click("header .identity button");
  await page.until("document.querySelector('#sign-in') !== null");
  await signIn(page, TOKENS.control);
  await page.until(`${LIVE} && document.querySelector('[data-node=n2] .actions button')?.disabled === false`);
  await page.until("document.querySelector('header').innerText.includes('test-control')");
  assert.doesNotMatch(await offered(), /Reload/, "what the role admin alone may do is not offered");
  assert.match(await offered(), /Stop application \(none is configured\)/);
  const possible =
    "[...document.querySelectorAll('[data-node=n2] option:enabled')].map(({ value }) => value)";
  assert.deepEqual(await page.evaluate<string[]>(possible), ["", "weight"]);
}

async function looks(page: WatchedPage, shots: string): Promise<void> {
  const looks = [
    { name: "light", scheme: "light", viewport: DESKTOP },
    { name: "dark", scheme: "dark", viewport: DESKTOP },
    { name: "phone", scheme: "light", viewport: PHONE },
  ];
  await page.click("#who form button[type=button]"); // an example, so that there is an answer to look at
  await page.until("document.querySelector('#answer .owner') !== null");
  await page.click(".checks summary");
  await page.until("document.querySelector('.checks details pre')?.innerText.includes('all is well')");
  for (const { name, scheme, viewport } of looks) {
    await page.page.setViewport(viewport);
    await page.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await page.until(`document.documentElement.dataset.theme === '${scheme}'`);
    assert.deepEqual(await page.accessibilityProblems(), [], name);
    const tooWide = await page.evaluate<boolean>("document.documentElement.scrollWidth > innerWidth");
    assert.ok(!tooWide, `${name} scrolls sideways`);
    await page.page.screenshot({ path: `${shots}/console-${name}.png`, fullPage: true });
  }
  await page.page.setViewport(DESKTOP);
  await page.page.emulateMediaFeatures([]);
}

async function explains(page: WatchedPage, lab: Lab): Promise<void> {
  const answers = await lab.clients[1].request({ ...http(lab), count: EXPLAINED_FLOWS });
  for (const { node, address, port } of answers) {
    assert.ok(node !== undefined, "the request was answered");
    await page.fill("#client", address);
    await page.fill("#port", String(port));
    await page.click("#who form button[type=submit]");
    await page.until(
      `document.querySelector('#answer .owner')?.innerText.includes('serves ${address} port ${port}')`,
    );
    assert.equal(
      await page.text("#answer .owner strong"),
      node,
      `${address}:${port} was answered by ${node}`,
    );
  }
}

async function drains(page: WatchedPage, lab: Lab): Promise<void> {
  for (const client of lab.clients) await client.open({ ...http(lab), count: CONNECTIONS });
  const few = CONNECTIONS / 4;
  await page.until(`parseInt(document.querySelector('[data-node=n2] .connections')?.innerText) > ${few}`);
  const said = await askFirst(page, "n2");
  assert.match(said, /^Drain n2\?/);
  assert.match(said, /n2 serves 3\d% of new clients\./);
  assert.match(said, /They will go to n1 \(then (49|5[01])%\) and n3 \(then (49|5[01])%\)\./);
  assert.match(said, /[1-9]\d* open connections will stay until they end\./);
  assert.deepEqual(await page.accessibilityProblems(), [], "the dialog");
  await confirm(page);
  await page.until(`${stateOf("n2")} === 'draining'`);
  const left = () =>
    page.text("[data-node=n2] .draining").then((text) =>
      Number(/([\d,]+) open connections? left/.exec(text)?.[1] ?? 0)
    );
  await page.until(
    "/[1-9]\\d* open connections? left/.test(document.querySelector('[data-node=n2] .draining').innerText)",
  );
  const before = await left();
  assert.ok(before >= few, `${before} of ${2 * CONNECTIONS} connections stayed on n2`);
  await lab.clients[0].closeAll();
  await page.until(
    `parseInt(document.querySelector('[data-node=n2] .draining').innerText) < ${before}`,
  );
  assert.ok(await left() > 0, "the other client's stay");
  await lab.clients[1].closeAll();
  await page.until(
    "document.querySelector('[data-node=n2] .draining')?.innerText.includes('Nothing is left')",
  );
  await page.until("document.querySelector('[data-node=n2] .share').innerText.includes('0%')");
}

interface EventList {
  readonly events: ReadonlyArray<{ at: string; kind: string; node?: string }>;
}

/** Kills n3 and tells how long it took until it was red on the page, in ms, less what the farm was late. */
async function killedTurnsRed(page: WatchedPage, lab: Lab): Promise<number> {
  const red = page.evaluate<number>(`new Promise((resolve) => {
    const look = () => {
      const state = document.querySelector('[data-node=n3] .state.bad');
      if (state === null) return;
      observer.disconnect();
      resolve(performance.timeOrigin + performance.now());
    };
    const observer = new MutationObserver(look);
    observer.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  })`);
  const killedMs = await lab.node("n3").killDaemon();
  const redMs = await red;
  const { events } = await lab.node("n1").api<EventList>("GET", "/api/v1/events?format=json");
  const dead = events.findLast(({ kind, node }) => kind === "member.dead" && node === "n3");
  assert.ok(dead !== undefined, "n1 tells that n3 is dead");
  const lateMs = Math.max(0, Date.parse(dead.at) - killedMs - NOTICED_MS);
  console.log(`red ${(redMs - killedMs).toFixed(0)} ms after the kill, noticed ${lateMs.toFixed(0)} ms late`);
  assert.match(await page.text("#health"), /n3 is dead|n3 is silent/);
  return redMs - killedMs - lateMs;
}

async function comesBack(page: WatchedPage, lab: Lab, node: string): Promise<void> {
  await lab.startNode(node);
  await page.until(`${LIVE} && ${stateOf(node)} === 'up'`);
}

/** n2 is drained and n3 is dead: n1 is the last one that serves. */
async function lastOne(page: WatchedPage, shots: string): Promise<void> {
  for (const scheme of ["light", "dark"]) {
    await page.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    assert.deepEqual(await page.accessibilityProblems(), [], `trouble, ${scheme}`);
    await page.page.screenshot({ path: `${shots}/console-trouble-${scheme}.png`, fullPage: true });
  }
  await page.page.emulateMediaFeatures([]);
  const said = await askFirst(page, "n1");
  assert.match(said, /nobody will serve them/);
  assert.match(said, /n1 is the last node that serves/);
  const disabled = "document.querySelector('#action button[type=submit]').disabled";
  assert.equal(await page.evaluate(disabled), true, "without a second word it cannot be done");
  await page.click("#force");
  await page.until(`!${disabled}`);
  await page.page.keyboard.press("Escape");
  await page.until("document.querySelector('#action') === null");
}

async function connectionLost(page: WatchedPage, lab: Lab): Promise<void> {
  await lab.node("n1").killDaemon();
  await page.until("document.querySelector('#lost') !== null");
  assert.match(await page.text("#lost"), /Connection lost.*may be wrong by now/s);
  await page.until("/is \\d+ s old/.test(document.querySelector('#lost').innerText)");
  const looks = await page.evaluate<string>("getComputedStyle(document.querySelector('main')).filter");
  assert.match(looks, /grayscale\(1\)/, "what is old does not look alive");
  assert.equal(await page.evaluate("document.querySelectorAll('.actions :enabled').length"), 0);
  assert.match(await page.page.title(), /no answer/);
  await comesBack(page, lab, "n1");
  await page.until("document.querySelector('#lost') === null");
}

Deno.test({
  name: "the console shows a farm, explains and steers it, and never shows what is old as new",
  ignore: unavailable !== undefined,
}, async (t) => {
  await withConsole(async (lab, browser, directory) => {
    // Kept where the variable says; else they go with the test.
    const shots = Deno.env.get("VIPFARM_SCREENSHOTS") ?? directory;
    await Deno.mkdir(shots, { recursive: true });
    const page = await WatchedPage.open(browser, urlOf(lab, "n1"));
    const step = (name: string, run: () => Promise<void>) => t.step(name, run);
    await step("a wrong token and a role that may only look are refused", () => refusals(page));
    await step("light, dark and on a phone nothing keeps people from using it", () => looks(page, shots));
    await step("the explain box names the node that really answers", () => explains(page, lab));
    await step("a drain from another node's console works, and its count goes down", () => drains(page, lab));
    await step("a killed node turns red within a second", async () => {
      const tookMs: number[] = [];
      for (let attempt = 0; attempt < ATTEMPTS_MAX && !tookMs.some((ms) => ms < RED_MS_MAX); attempt++) {
        if (attempt > 0) await comesBack(page, lab, "n3");
        tookMs.push(await killedTurnsRed(page, lab));
      }
      assert.ok(tookMs.at(-1)! < RED_MS_MAX, `it took ${tookMs.join(", ")} ms`);
    });
    await step("the last node that serves asks for a second word", () => lastOne(page, shots));
    await step("a node is resumed, and one that comes back is shown", async () => {
      await comesBack(page, lab, "n3");
      await askFirst(page, "n2");
      await confirm(page);
      await page.until(`${stateOf("n2")} === 'up'`);
    });
    await step("a lost connection is shown, and its end", () => connectionLost(page, lab));
    assert.deepEqual(page.complaints.filter((text) => !EXPECTED.test(text)), [], "no error on its console");
    assert.deepEqual(page.foreign, [], "no request leaves the farm");
  });
});
