/** The checker of each kind. */
import { type CheckTarget } from "../config/checks_config.ts";
import { type Checker, type CheckerParts } from "./checker.ts";
import { dnsChecker } from "./checkers/dns.ts";
import { execChecker } from "./checkers/exec.ts";
import { farmChecker } from "./checkers/farm.ts";
import { httpChecker } from "./checkers/http.ts";
import { interfaceChecker } from "./checkers/interface.ts";
import { pingChecker } from "./checkers/ping.ts";
import { processChecker } from "./checkers/process.ts";
import { tcpChecker } from "./checkers/tcp.ts";
import { udpChecker } from "./checkers/udp.ts";

export function createChecker(target: CheckTarget, parts: CheckerParts): Checker {
  switch (target.kind) {
    case "tcp":
      return tcpChecker(target);
    case "http":
    case "https":
      return httpChecker(target);
    case "ping":
      return pingChecker(target, parts);
    case "interface":
      return interfaceChecker(target, parts);
    case "process":
      return processChecker(target, parts);
    case "exec":
      return execChecker(target, parts);
    case "dns":
      return dnsChecker(target, parts);
    case "udp":
      return udpChecker(target, parts);
    case "farm":
      return farmChecker(target, parts);
  }
}
