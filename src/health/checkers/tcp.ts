/** A TCP connection can be made. It is closed at once. */
import { type CheckTarget } from "../../config/checks_config.ts";
import { connect } from "../connect.ts";
import { type Checker, endpoint, good, type Run } from "../checker.ts";

export function tcpChecker({ address, port }: Extract<CheckTarget, { kind: "tcp" }>): Checker {
  return {
    async run({ signal }: Run) {
      const connection = await connect(address, port, signal);
      connection.close();
      return good(`connected to ${endpoint(address, port)}`);
    },
  };
}
