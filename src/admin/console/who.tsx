/** "Who serves client X?": the owner, why, and who would take over. The answer follows the farm as it changes. */

import { effect, signal } from "@preact/signals";
import type { ExplanationAnswer } from "../schemas.ts";
import { get, Refusal } from "./api.ts";
import { chosenService } from "./choice.ts";
import { percent } from "./format.ts";
import { Icon } from "./icons.tsx";
import { colorOf } from "./palette.ts";
import { farm, fresh } from "./store.ts";

interface Question {
  readonly client: string;
  readonly port: string;
  readonly service: string;
}

/** An address of a documentation network (RFC 5737): an example that is nobody's. */
const EXAMPLE = { client: "198.51.100.7", port: "40000" };

const typed = signal<Question>({ client: "", port: "", service: "" });
const asked = signal<Question | undefined>(undefined);
const answer = signal<ExplanationAnswer | undefined>(undefined);
const refused = signal("");

/** The bucket that was asked about, for the picture of the buckets. */
export const askedBucket = signal<number | undefined>(undefined);

async function ask(question: Question): Promise<void> {
  const query = new URLSearchParams({ client: question.client });
  if (question.service !== "") query.set("service", question.service);
  if (question.port !== "") query.set("port", question.port);
  let found: ExplanationAnswer | undefined, problem = "";
  try {
    found = await get<ExplanationAnswer>(`/api/v1/explain?${query}`);
  } catch (error) {
    problem = error instanceof Refusal ? `${error.message}. ${error.remedy}` : "The node does not answer.";
  }
  // Something else was asked meanwhile: answers may overtake each other.
  if (asked.peek() !== question) return;
  answer.value = found;
  refused.value = problem;
  askedBucket.value = found?.bucket;
}

/** What an answer depends on: whoever changes state or weight may change it. */
function view(): string {
  return (farm.value?.members ?? []).map(({ name, state, weights }) =>
    `${name} ${state} ${JSON.stringify(weights)}`
  )
    .join();
}

let seen = "";
effect(() => {
  const now = view();
  const question = asked.value;
  if (question === undefined || !fresh.value) return;
  const key = `${JSON.stringify(question)} ${now}`;
  if (key !== seen) void ask(question);
  seen = key;
});

function submit(question: Question): void {
  const service = chosenService(farm.peek()?.services ?? [], question.service);
  typed.value = { ...question, service };
  seen = "";
  asked.value = { client: question.client.trim(), port: question.port.trim(), service };
}

export function Who() {
  const question = typed.value;
  const services = farm.value!.services;
  const set = (part: Partial<Question>) => typed.value = { ...typed.peek(), ...part };
  return (
    <section id="who" class="panel" aria-labelledby="who-title">
      <h2 id="who-title">Who serves client X?</h2>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          submit(typed.peek());
        }}
      >
        <div class="wide">
          <label for="client">Client address</label>
          <input
            id="client"
            required
            placeholder={EXAMPLE.client}
            value={question.client}
            spellcheck={false}
            onInput={(event) => set({ client: event.currentTarget.value })}
          />
        </div>
        <div>
          <label for="port">Port</label>
          <input
            id="port"
            inputmode="numeric"
            placeholder={EXAMPLE.port}
            size={6}
            value={question.port}
            onInput={(event) => set({ port: event.currentTarget.value })}
          />
        </div>
        <div>
          <label for="service">Service</label>
          <select
            id="service"
            value={chosenService(services, question.service)}
            onChange={(event) => set({ service: event.currentTarget.value })}
          >
            {services.map(({ name }) => <option key={name} value={name}>{name}</option>)}
          </select>
        </div>
        <button class="primary" type="submit" disabled={!fresh.value}>Tell me</button>
        <button type="button" disabled={!fresh.value} onClick={() => submit({ ...typed.peek(), ...EXAMPLE })}>
          Try an example
        </button>
      </form>
      <div id="answer" role="status">
        {refused.value ? <Refused /> : answer.value ? <Answer /> : <Hint />}
      </div>
    </section>
  );
}

function Hint() {
  return (
    <p class="soft">
      Every node works this out from a hash of the client's address (and its port, where each connection
      counts by itself), and all come to the same answer. Nobody hands requests out.
    </p>
  );
}

function Refused() {
  return (
    <p class="problem">
      <Icon shape="cross" />
      {refused.value}
    </p>
  );
}

function Answer() {
  const { owner, runner_up: next, why, bucket, scores, client, port, service } = answer.value!;
  const best = Math.max(...scores.map(({ score }) => score ?? 0));
  return (
    <>
      <p class="owner">
        <i class="swatch" style={{ backgroundColor: colorOf(owner) }} />
        <strong>{owner ?? "nobody"}</strong>
        <span class="soft">
          serves {client}
          {port !== undefined && ` port ${port}`}, {service ?? "no service"}
        </span>
      </p>
      <p>{why}</p>
      <p>
        {owner === null
          ? "No node takes new flows."
          : next === null
          ? `If ${owner} is drained or fails, nobody takes its new connections.`
          : (
            <>
              If {owner} is drained or fails, <strong>{next}</strong> takes its new connections; when drained,
              {" "}
              {owner} keeps those that are open.
            </>
          )}
      </p>
      <table class="scores">
        <caption>Draws for bucket {bucket}, times weight: the highest wins</caption>
        <thead class="hidden">
          <tr>
            <th scope="col">Node</th>
            <th scope="col">Score</th>
            <th scope="col">Weight</th>
          </tr>
        </thead>
        <tbody>
          {scores.map(({ name, weight, score }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>
                <div class="track">
                  <i
                    style={{
                      width: percent(best > 0 ? (score ?? 0) / best : 0),
                      backgroundColor: colorOf(name),
                    }}
                  />
                </div>
              </td>
              <td class="soft">weight {weight}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
