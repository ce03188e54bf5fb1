/** A name server knows a name. It alone is asked, by one datagram: no file, cache or other server can answer. */
import { UdpQuestion } from "../../../ffi/udp_question.ts";
import { type CheckTarget } from "../../config/checks_config.ts";
import { bad, type Checker, type CheckerParts, endpoint, good, type Run } from "../checker.ts";
import { dnsQuestion, readDnsAnswer } from "../dns_message.ts";
import { readable } from "../watcher.ts";

export function dnsChecker(
  { server, port, name, type, expect }: Extract<CheckTarget, { kind: "dns" }>,
  { watcher }: CheckerParts,
): Checker {
  return {
    async run({ signal }: Run) {
      const id = crypto.getRandomValues(new Uint16Array(1))[0];
      using question = UdpQuestion.send(server.bytes, port, dnsQuestion(id, name, type));
      while (await readable(watcher, question.fd, signal)) {
        const bytes = question.receive();
        const answer = bytes === undefined ? undefined : readDnsAnswer(bytes, id, type);
        if (answer === undefined) continue;
        if (answer.failure !== undefined) return bad(`${name}: ${answer.failure}`);
        const { addresses } = answer;
        if (addresses.length === 0) return bad(`${name} has no ${type} record`);
        if (expect.length > 0 && !expect.some(({ text }) => addresses.includes(text))) {
          return bad(`${name} is ${addresses.join(", ")}`);
        }
        return good(`${name} is ${addresses.join(", ")}`);
      }
      return bad(`${endpoint(server, port)} does not answer`);
    },
  };
}
