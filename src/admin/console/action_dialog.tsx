/** Asks before anything is done to a node, and says what will follow. */

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { OrderAnswer } from "../schemas.ts";
import { order, Refusal } from "./api.ts";
import { consequenceOf, type Verb } from "./consequence.ts";
import { Icon } from "./icons.tsx";
import { farm, fresh } from "./store.ts";

const WEIGHT_MAX = 1000;
/** What became of an action is shown this long; the event log keeps it. */
const SAID_MS = 12_000;

interface Wanted {
  readonly node: string;
  readonly verb: Verb;
}

const wanted = signal<Wanted | undefined>(undefined);
const weight = signal("");
const forced = signal(false);
const busy = signal(false);
const refused = signal<Refusal | Error | undefined>(undefined);
/** What became of the last action. */
const said = signal("");

/** Opens the dialog. */
export function wantAction(node: string, verb: Verb): void {
  weight.value = String(farm.peek()?.members.find(({ name }) => name === node)?.weight ?? "");
  forced.value = false;
  refused.value = undefined;
  said.value = "";
  wanted.value = { node, verb };
}

function close(): void {
  wanted.value = undefined;
}

async function carryOut({ node, verb }: Wanted): Promise<void> {
  busy.value = true;
  refused.value = undefined;
  const path = `/api/v1/nodes/${encodeURIComponent(node)}/${verb}${forced.value ? "?force=true" : ""}`;
  try {
    const answer = verb === "weight"
      ? await order<OrderAnswer>("PUT", path, { weight: Number(weight.value) })
      : await order<OrderAnswer>("POST", path);
    said.value = answer.message;
    setTimeout(() => said.value = "", SAID_MS);
    close();
  } catch (error) {
    refused.value = error instanceof Error ? error : new Error(String(error));
  } finally {
    busy.value = false;
  }
}

export function ActionDialog() {
  return wanted.value === undefined || farm.value === undefined ? null : <Dialog wanted={wanted.value} />;
}

function Dialog({ wanted }: { wanted: Wanted }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (!dialog.current!.open) dialog.current!.showModal();
  }, []);
  const { node, verb } = wanted;
  const { title, sentences, lastServing } = consequenceOf(farm.value!, node, verb, Number(weight.value));
  const needsForce = lastServing ||
    (refused.value instanceof Refusal && refused.value.code === "last_serving_node");
  return (
    <dialog ref={dialog} id="action" aria-labelledby="action-title" onClose={close}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void carryOut(wanted);
        }}
      >
        <h2 id="action-title">{title}</h2>
        {verb === "weight" && (
          <>
            <label for="weight">New weight, 0 to {WEIGHT_MAX} (0 takes no new clients)</label>
            <input
              id="weight"
              type="number"
              min={0}
              max={WEIGHT_MAX}
              required
              value={weight.value}
              onInput={(event) => weight.value = event.currentTarget.value}
            />
          </>
        )}
        <div role="status">
          <ul class="consequence">{sentences.map((sentence) => <li key={sentence}>{sentence}</li>)}</ul>
        </div>
        {needsForce && (
          <label class="force">
            <input
              id="force"
              type="checkbox"
              required
              checked={forced.value}
              onChange={(event) => forced.value = event.currentTarget.checked}
            />
            <span>
              <strong>{node} is the last node that serves.</strong>{" "}
              Do it although no new client will be served.
            </span>
          </label>
        )}
        <p class="problem" role="alert">
          {refused.value && (
            <>
              <Icon shape="cross" />
              <span>
                {sentence(refused.value.message)}{" "}
                {refused.value instanceof Refusal ? refused.value.remedy : ""}
              </span>
            </>
          )}
        </p>
        {!fresh.value && <p class="problem">The connection is lost: nothing can be done from here now.</p>}
        <div class="buttons">
          <button type="button" onClick={() => dialog.current!.close()}>Cancel</button>
          <button
            class={needsForce || verb === "stop" ? "primary danger" : "primary"}
            type="submit"
            disabled={busy.value || !fresh.value || (needsForce && !forced.value)}
          >
            {busy.value ? "Asking…" : title.replace("?", "")}
          </button>
        </div>
      </form>
    </dialog>
  );
}

function sentence(text: string): string {
  return text.endsWith(".") ? text : `${text}.`;
}

/** What became of the last action, said once. */
export function Said() {
  return (
    <div id="said" role="status">
      {said.value && (
        <p>
          <Icon shape="info" />
          <span>{said.value}</span>
          <button type="button" class="quiet" onClick={() => said.value = ""}>Close</button>
        </p>
      )}
    </div>
  );
}
