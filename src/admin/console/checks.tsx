/** The checks of this node with what they last found, and those that fail elsewhere. */

import type { CheckAnswer } from "../detail_schemas.ts";
import { duration } from "./format.ts";
import { State } from "./icons.tsx";
import { checks } from "./store.ts";

export function Checks() {
  const told = checks.value;
  const others = (told?.others ?? []).flatMap(({ node, down }) => down.map((entry) => ({ node, ...entry })));
  return (
    <section class="panel" aria-labelledby="checks-title">
      <h2 id="checks-title">Checks</h2>
      {told === undefined ? <p class="soft">The node has not told them yet.</p> : (
        <>
          {others.length > 0 && (
            <ul class="plain down">
              {others.map(({ node, check, reason }) => (
                <li key={`${node} ${check}`}>
                  <State state="down" text={`${check} on ${node}`} /> {reason}
                </li>
              ))}
            </ul>
          )}
          {told.checks.length === 0
            ? (
              <p class="soft">
                None is configured on {told.node}: a node takes its share while its daemon lives.
              </p>
            )
            : (
              <ul class="plain checks">
                {told.checks.map((check) => <Check key={check.name} check={check} />)}
              </ul>
            )}
        </>
      )}
    </section>
  );
}

function Check({ check }: { check: CheckAnswer }) {
  const since = Date.now() - Date.parse(check.since);
  return (
    <li>
      <div>
        <State state={check.state} /> <b>{check.name}</b>{" "}
        <span class="soft">
          {check.kind}, {check.services.length === 0 ? "the whole node" : check.services.join(", ")}
        </span>
      </div>
      <div>{check.reason}</div>
      <div class="soft small">
        {check.state} for {duration(Math.max(0, since))}
        {check.last_duration_ms !== null && `, last run took ${duration(check.last_duration_ms)}`},{" "}
        {check.failures} of {check.runs} runs failed, when down: {check.action}
      </div>
      {check.output !== undefined && (
        <details class="small">
          <summary>What its program printed</summary>
          <pre tabIndex={0}>{check.output}</pre>
        </details>
      )}
    </li>
  );
}
