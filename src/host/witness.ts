/** Does the witness of the quorum answer this host? */
import { boottimeMs } from "../../ffi/clock.ts";
import { EchoSocket } from "../../ffi/echo_socket.ts";
import { type FarmConfig } from "../config/load.ts";
import { VipfarmError } from "../core/errors.ts";
import type { Finding } from "./finding.ts";

/** Asked so often, since the first question may wait for the neighbour's MAC, so far apart. */
const QUESTIONS = 4;
const EVERY_MS = 250;

/** Nothing where the quorum has no witness. A cut elsewhere is no fault of this host, so silence is a warning. */
export async function witnessFindings({ quorum }: Pick<FarmConfig, "quorum">): Promise<Finding[]> {
  if (quorum.kind !== "witness") return [];
  const { text, bytes } = quorum.address;
  try {
    using socket = EchoSocket.open(bytes);
    for (let question = 0; question < QUESTIONS; question++) {
      socket.ask(boottimeMs());
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
      if (socket.answeredMs() !== undefined) return [{ ok: true, what: `the witness ${text} answers pings` }];
    }
  } catch (error) {
    if (!(error instanceof VipfarmError)) throw error;
    const { message, remedy = "Run as root." } = error;
    return [{ ok: "warning", what: `the witness ${text} could not be asked: ${message}`, remedy }];
  }
  return [{
    ok: "warning",
    what: `the witness ${text} does not answer pings: in a cut no node would serve`,
    remedy: "Check quorum.witness and the way there; best it is the clients' router.",
  }];
}
