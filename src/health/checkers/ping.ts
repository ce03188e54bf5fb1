/** A host answers ICMP echo requests. */
import { EchoSocket } from "../../../ffi/echo_socket.ts";
import { type CheckTarget } from "../../config/checks_config.ts";
import { type IpAddress } from "../../core/address.ts";
import { bad, type Checker, type CheckerParts, good, type Run } from "../checker.ts";
import { type Finding } from "../damping.ts";
import { readable, type Watcher } from "../watcher.ts";

export function pingChecker(
  { address }: Extract<CheckTarget, { kind: "ping" }>,
  { watcher, nowMs }: CheckerParts,
): Checker {
  const pinger = new Pinger(address, watcher, nowMs);
  return { run: ({ signal }: Run) => pinger.ask(signal), close: () => pinger.close() };
}

/** Asks one host, one question at a time. */
export class Pinger {
  #socket: EchoSocket | undefined;

  constructor(readonly address: IpAddress, readonly watcher: Watcher, readonly nowMs: () => number) {}

  async ask(signal: AbortSignal): Promise<Finding> {
    const { address, watcher } = this;
    const socket = this.#socket ??= EchoSocket.open(address.bytes);
    socket.answeredMs();
    const askedMs = this.nowMs();
    if (!socket.ask(askedMs)) return bad(`no way to ${address.text}`);
    while (await readable(watcher, socket.fd, signal)) {
      // A late answer to an earlier question says nothing about now.
      if (socket.answeredMs() === askedMs) return good(`${address.text} answered`);
    }
    return bad(`${address.text} does not answer`);
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }
}
