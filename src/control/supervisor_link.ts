/** The worker's end of the talk with its supervisor: messages in order of arrival, by standard input and output. */
import { dieWithParent } from "../../ffi/parent.ts";
import { EXIT } from "../core/errors.ts";
import { lines } from "../core/lines.ts";
import { decodeMessage, encodeMessage, type FromWorker, type ToWorker } from "../supervisor/messages.ts";
import { Inbox } from "./inbox.ts";

type Told<Kind extends ToWorker["do"]> = Extract<ToWorker, { do: Kind }>;

export class SupervisorLink {
  readonly #inbox = new Inbox<ToWorker>((message) => message.do);

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

  /** The next message of this kind, or the first that came already. */
  async once<Kind extends ToWorker["do"]>(kind: Kind): Promise<Told<Kind>> {
    return await this.#inbox.once(kind) as Told<Kind>;
  }

  /** Every message of this kind, those that came already first. */
  on<Kind extends ToWorker["do"]>(kind: Kind, handle: (message: Told<Kind>) => void): void {
    this.#inbox.on(kind, (message) => handle(message as Told<Kind>));
  }

  async #listen(): Promise<void> {
    for await (const line of lines(Deno.stdin.readable)) {
      this.#inbox.take(decodeMessage(line) as ToWorker);
    }
    // The supervisor is gone, and the kernel's signal is on its way.
    Deno.exit(EXIT.no);
  }
}
