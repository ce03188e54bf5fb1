/** A UDP service answers a datagram as expected. */
import { UdpQuestion } from "../../../ffi/udp_question.ts";
import { type CheckTarget } from "../../config/checks_config.ts";
import { bad, type Checker, type CheckerParts, endpoint, good, type Run } from "../checker.ts";
import { readable } from "../watcher.ts";

export function udpChecker(
  { address, port, send, expect }: Extract<CheckTarget, { kind: "udp" }>,
  { watcher }: CheckerParts,
): Checker {
  const where = endpoint(address, port);
  return {
    async run({ signal }: Run) {
      using question = UdpQuestion.send(address.bytes, port, send);
      let other = false;
      while (await readable(watcher, question.fd, signal)) {
        const answer = question.receive();
        if (answer !== undefined && contains(answer, expect)) return good(`${where} answered`);
        other ||= answer !== undefined;
      }
      return bad(other ? `${where} gave another answer than expected` : `${where} does not answer`);
    },
  };
}

function contains(bytes: Uint8Array, part: Uint8Array): boolean {
  for (let start = 0; start + part.length <= bytes.length; start++) {
    if (part.every((byte, i) => bytes[start + i] === byte)) return true;
  }
  return false;
}
