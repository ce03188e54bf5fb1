/** The frame of the page: whose farm this is, whether the node answers, who looks, light or dark. */

import { duration, timeText } from "./format.ts";
import { Icon } from "./icons.tsx";
import { tryNow } from "./live.ts";
import { askForToken, me, token } from "./session.ts";
import { answered, farm, link, nextTryMs, nowMs, problem } from "./store.ts";
import { type Theme, theme, THEMES } from "./theme.ts";

export function Header() {
  const name = farm.value?.farm ?? "";
  document.title = link.value === "lost"
    ? `✕ no answer · ${name || "vipfarm"}`
    : `${name || "vipfarm"} · vipfarm`;
  return (
    <header>
      <h1>
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path
            d="M12 2v6M12 8 4 14M12 8v6M12 8l8 6"
            stroke="currentColor"
            stroke-width="2"
            fill="none"
            stroke-linecap="round"
          />
          <rect x="1.5" y="15" width="5" height="6.5" rx="1.4" fill="currentColor" />
          <rect x="9.5" y="15" width="5" height="6.5" rx="1.4" fill="currentColor" />
          <rect x="17.5" y="15" width="5" height="6.5" rx="1.4" fill="currentColor" />
        </svg>
        vipfarm <span>{name}</span>
      </h1>
      <LinkState />
      <div class="tools">
        <Identity />
        <ThemeSwitch />
      </div>
    </header>
  );
}

function LinkState() {
  const node = farm.value?.node ?? "the node";
  const text = {
    connecting: "connecting…",
    live: `live from ${node}`,
    lost: "no connection",
    locked: "signed out",
  };
  return <p id="link" role="status" data-state={link.value}>{text[link.value]}</p>;
}

function Identity() {
  const who = me.value;
  if (who === undefined || token.value === "") return null;
  return (
    <span class="identity">
      {who.name} <span class="tag">{who.role}</span>
      <button type="button" class="quiet" onClick={() => askForToken("")}>Sign out</button>
    </span>
  );
}

function ThemeSwitch() {
  return (
    <label class="theme">
      <span>Theme</span>
      <select value={theme.value} onChange={(event) => theme.value = event.currentTarget.value as Theme}>
        {THEMES.map((name) => <option key={name} value={name}>{name}</option>)}
      </select>
    </label>
  );
}

/** Says that what is shown is old, and how old. */
export function LinkBanner() {
  if (link.value !== "lost") return null;
  const since = answered.value;
  const node = farm.value?.node ?? "the node";
  const waitMs = nextTryMs.value - nowMs.value;
  return (
    <div id="lost" role="alert">
      <Icon shape="cross" />
      <div>
        <strong>Connection lost: {problem.value || `no answer from ${node}`}.</strong>{" "}
        {since === undefined ? "Nothing was heard from it yet." : (
          <>
            What is shown is <strong>{duration(nowMs.value - since.atMs)} old</strong>, from{" "}
            {timeText(since.date)}
            , and may be wrong by now.
          </>
        )} If {node} itself is down, open the console of another node.
      </div>
      <span class="soft">{waitMs > 0 ? `next try in ${Math.ceil(waitMs / 1000)} s` : "trying…"}</span>
      <button type="button" onClick={tryNow}>Try now</button>
    </div>
  );
}

export function Footer() {
  return (
    <footer>
      <span>vipfarm {farm.value?.version}</span>
      <a href="/docs">API</a>
      {/* A link carries no token. */}
      {token.value === "" && <a href="/metrics">Metrics</a>}
    </footer>
  );
}
