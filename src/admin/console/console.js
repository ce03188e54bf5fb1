// The console: asks for the farm every second and at every event, and says so when it gets no answer.
// What stands on the page is what the node said last; once that is old, the page turns grey and says how old.
"use strict";

const POLL_MS = 1000;
const ANSWER_WAIT_MS = 2500; // a request that takes longer counts as lost
const STALE_MS = 3000; // three polls without an answer
const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const DATE = { month: "short", day: "numeric" };
const STREAM_SILENCE_MS = 40_000; // the node sends a comment every 15 s
const EVENTS_SHOWN_MAX = 300;

const $ = (id) => document.getElementById(id);
let token = sessionStorage.getItem("vipfarm-token") ?? "";
let lastAnswerMs; // performance.now() of the newest answer
let farm;
let problem = "";
let polling = false;
let pollAgain = false;
let cursor = "";
let streaming = false;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function replace(parent, children) {
  parent.replaceChildren(...children);
}

const percent = (share) => `${(100 * share).toFixed(1)}%`;

async function ask(path, options = {}) {
  const headers = token === "" ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(path, { ...options, headers: { ...headers, ...options.headers } });
  if (response.status === 401) askForToken(token === "" ? "" : "This token is not known.");
  if (response.status === 429 && farm === undefined) askForToken("Too many wrong tokens: wait a minute.");
  return response;
}

// Nothing is asked until there is another token: wrong ones are counted, and lock this address out.
function askForToken(text) {
  token = "";
  sessionStorage.removeItem("vipfarm-token");
  $("login").hidden = false;
  $("live").hidden = true;
  $("login-problem").textContent = text;
}

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  sessionStorage.setItem("vipfarm-token", token);
  $("token").value = "";
  $("login").hidden = true;
  poll();
});

async function poll() {
  if (polling) {
    pollAgain = true;
    return;
  }
  polling = true;
  try {
    const response = await ask("/api/v1/farm", { signal: AbortSignal.timeout(ANSWER_WAIT_MS) });
    if (response.ok) {
      farm = await response.json();
      lastAnswerMs = performance.now();
      problem = "";
      $("login").hidden = true;
      $("live").hidden = false;
      showFarm();
      if (!streaming) followEvents();
    } else {
      problem = response.status === 401 ? "a token is needed" : `the node answered ${response.status}`;
    }
  } catch {
    problem = "no answer from the node";
  } finally {
    polling = false;
    showLink();
  }
  if (pollAgain) {
    pollAgain = false;
    poll();
  }
}

function showLink() {
  const ageMs = lastAnswerMs === undefined ? Infinity : performance.now() - lastAnswerMs;
  const state = ageMs < STALE_MS && problem === "" ? "live" : "lost";
  document.body.dataset.state = state;
  const age = Number.isFinite(ageMs) ? `; shown is what it said ${Math.round(ageMs / 1000)} s ago` : "";
  const text = state === "live"
    ? `live from ${farm.node}`
    : $("login").hidden
    ? `connection lost: ${problem || "no answer"}${age}`
    : "a token is needed";
  if ($("link").dataset.state !== state || state === "lost") $("link").textContent = text;
  $("link").dataset.state = state;
  document.title = state === "live" ? `vipfarm ${farm.farm}` : "vipfarm: connection lost";
}

function showFarm() {
  $("farm").textContent = farm.farm;
  const dead = farm.members.some((member) => ["dead", "silent"].includes(member.state));
  const calm = farm.members.every((member) => member.state === "up");
  $("health").dataset.state = dead ? "bad" : calm ? "good" : "warn";
  if ($("health").textContent !== farm.health) $("health").textContent = farm.health;
  replace($("members"), farm.members.map(memberRow));
  replace($("services"), farm.services.map(serviceRow));
  replace($("vips"), farm.virtual_ips.map(vipItem));
  $("about").textContent = `vipfarm ${farm.version}`;
  const names = farm.services.map((service) => service.name).join("\n");
  if ($("service").dataset.names !== names) {
    $("service").dataset.names = names;
    replace($("service"), farm.services.map((service) => element("option", {}, service.name)));
  }
}

function memberRow(member) {
  const shares = Object.entries(member.shares).map(([service, share]) => {
    const fill = element("i");
    fill.style.width = percent(share);
    const held = member.claimed?.[service];
    const text = held === undefined || Math.abs(held - share) < 0.0005
      ? percent(share)
      : `${percent(share)}, holds ${percent(held)}`;
    return element(
      "div",
      { class: "share" },
      element("span", {}, service),
      element("span", { class: "bar" }, fill),
      text,
    );
  });
  const name = element("th", { scope: "row" }, member.name);
  name.append(
    element("small", {}, [member.address, member.self ? "this node" : ""].filter(Boolean).join(" · ")),
  );
  return element(
    "tr",
    {},
    name,
    element("td", {}, element("span", { class: "state", "data-state": member.state }, member.state)),
    element("td", {}, ...shares),
    element("td", {}, weightText(member)),
    element("td", {}, member.reason),
  );
}

function weightText(member) {
  const others = Object.entries(member.weights).filter(([, weight]) => weight !== member.weight);
  return [String(member.weight), ...others.map(([service, weight]) => `${service}: ${weight}`)].join(", ");
}

function serviceRow(service) {
  const ports = service.ports.map(({ from, to }) => from === to ? `${from}` : `${from}–${to}`).join(", ");
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, service.name),
    element("td", {}, `${service.protocol} ${ports}`, element("br"), service.virtual_ips.join(", ")),
    element("td", {}, service.affinity),
  );
}

function vipItem(vip) {
  const detail = ` ${vip.mode}, ${vip.mac} on ${vip.interface}`;
  return element("li", {}, vip.address, element("span", { class: "soft" }, detail));
}

// ---- who serves client X? ----

$("who").addEventListener("submit", async (event) => {
  event.preventDefault();
  const query = new URLSearchParams({ client: $("client").value.trim() });
  if ($("port").value.trim() !== "") query.set("port", $("port").value.trim());
  if ($("service").value !== "") query.set("service", $("service").value);
  const answer = $("answer");
  try {
    const response = await ask(`/api/v1/explain?${query}`, { signal: AbortSignal.timeout(ANSWER_WAIT_MS) });
    const body = await response.json();
    answer.dataset.state = response.ok ? "good" : "bad";
    if (!response.ok) {
      replace(answer, [`${body.error.message}. ${body.error.remedy}`]);
      return;
    }
    const asked = `${body.client}${body.port === undefined ? "" : ` port ${body.port}`}, ` +
      `${body.service ?? "no service"}, asked at ${timeText(new Date())}`;
    replace(answer, [
      element("div", {}, element("strong", {}, body.owner ?? "nobody")),
      element("div", {}, body.why),
      element("div", { class: "soft" }, `bucket ${body.bucket}; next in line: ${body.runner_up ?? "nobody"}`),
      element("div", { class: "soft" }, asked),
    ]);
  } catch {
    answer.dataset.state = "bad";
    replace(answer, ["No answer from the node."]);
  }
});

// ---- events ----

/** The time, with the date if it is not today's. */
function timeText(at) {
  const time = at.toLocaleTimeString([], TIME);
  return at.toDateString() === new Date().toDateString()
    ? time
    : `${at.toLocaleDateString([], DATE)} ${time}`;
}

function showEvent(event) {
  const list = $("events");
  const at = new Date(event.at);
  const item = element(
    "li",
    { "data-severity": event.severity },
    element("time", { datetime: event.at, title: event.at }, timeText(at)),
    element(
      "div",
      {},
      element("span", { class: "what" }, event.message),
      " ",
      element("small", {}, event.kind),
    ),
  );
  list.prepend(item);
  while (list.childElementCount > EVENTS_SHOWN_MAX) list.lastElementChild.remove();
}

function showNote(text) {
  $("events").prepend(element("li", {}, "", element("small", {}, text)));
}

// Reads the stream by hand: EventSource cannot send a token.
async function followEvents() {
  streaming = true;
  const abort = new AbortController();
  let silence;
  const alive = () => {
    clearTimeout(silence);
    silence = setTimeout(() => abort.abort(), STREAM_SILENCE_MS);
  };
  try {
    alive();
    const headers = { accept: "text/event-stream", ...(cursor === "" ? {} : { "last-event-id": cursor }) };
    const response = await ask("/api/v1/events", { headers, signal: abort.signal });
    if (!response.ok) return;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (true) {
      const { done, value } = await reader.read();
      if (done) break;
      alive();
      const blocks = (text + value).split("\n\n");
      text = blocks.pop();
      blocks.forEach(takeBlock);
      if (blocks.some((block) => block.includes("data:"))) poll();
    }
  } catch {
    // The poll says what is wrong, and starts a new stream when the node answers again.
  } finally {
    clearTimeout(silence);
    streaming = false;
  }
}

function takeBlock(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
  }
  if (fields.data === undefined) return;
  if (fields.event === "missed") {
    showNote(`${JSON.parse(fields.data).missed} earlier events are no longer kept`);
    return;
  }
  const run = (fields.id ?? "").split("-")[0];
  if (cursor !== "" && run !== cursor.split("-")[0]) showNote("the daemon was restarted");
  cursor = fields.id ?? cursor;
  showEvent(JSON.parse(fields.data));
}

setInterval(() => {
  showLink();
  if ($("login").hidden) poll();
}, POLL_MS);
poll();
