/** The worker's end of the talk with its supervisor: messages in order of arrival, by standard input and output. */
import { dieWithParent } from "../../ffi/parent.ts";
import { EXIT } from "../core/errors.ts";
import { lines } from "../core/lines.ts";
import { decodeMessage, encodeMessage, type FromWorker, type ToWorker } from "../supervisor/messages.ts";

type Told<Kind extends ToWorker["do"]> = Extract<ToWorker, { do: Kind }>;

export class SupervisorLink {
  readonly #told = new Map<string, PromiseWithResolvers<ToWorker>>();
  readonly #handlers = new Map<string, (message: ToWorker) => void>();
  /** Came before anybody handled them. */
  readonly #early: ToWorker[] = [];

  /** From here on this process ends with its supervisor, however that ends. Throws SystemError. */
  constructor() {
    dieWithParent(Deno.ppid);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"] as const) {
      // A terminal and systemd signal every process of a service; what they mean comes from the supervisor, once.
      Deno.addSignalListener(signal, () => {});
    }
    void this.#listen();
  }

  tell(message: FromWorker): void {
    const bytes = new TextEncoder().encode(encodeMessage(message));
    for (let sent = 0; sent < bytes.length;) sent += Deno.stdout.writeSync(bytes.subarray(sent));
  }

  /** The first message of this kind, now or later. */
  async once<Kind extends ToWorker["do"]>(kind: Kind): Promise<Told<Kind>> {
    return await this.#slot(kind).promise as Told<Kind>;
  }

  /** Every message of this kind, those that came already first. */
  on<Kind extends ToWorker["do"]>(kind: Kind, handle: (message: Told<Kind>) => void): void {
    this.#handlers.set(kind, handle as (message: ToWorker) => void);
    for (const message of this.#early.splice(0)) {
      if (message.do === kind) handle(message as Told<Kind>);
      else this.#early.push(message);
    }
  }

  #slot(kind: string): PromiseWithResolvers<ToWorker> {
    let slot = this.#told.get(kind);
    if (slot === undefined) this.#told.set(kind, slot = Promise.withResolvers<ToWorker>());
    return slot;
  }

  async #listen(): Promise<void> {
    for await (const line of lines(Deno.stdin.readable)) {
      const message = decodeMessage(line) as ToWorker;
      this.#slot(message.do).resolve(message);
      const handle = this.#handlers.get(message.do);
      if (handle === undefined) this.#early.push(message);
      else handle(message);
    }
    // The supervisor is gone, and the kernel's signal is on its way.
    Deno.exit(EXIT.no);
  }
}
