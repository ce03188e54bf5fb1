/** A farm to look at from one of its hosts, and when that is. */
import { parseConfig } from "../../../src/config/load.ts";

const parsed = parseConfig(
  `farm: web
secret_file: secret
interface: eth0
virtual_ips: [{ address: 192.0.2.100 }]
services: [{ name: http, ports: [80] }]
`,
  "farm.yaml",
);

export const config = parsed.config!;
export const NOW_MS = 1_800_000_000_000;
