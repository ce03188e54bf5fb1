/** No farm: the clients talk to the first server by its own address. This is the 100 of the ratios. */
import type { Contender } from "./contender.ts";
import { BULK_PORTS, HTTP_PORT } from "./topology.ts";

export const straight: Contender = {
  name: "straight",
  setup: "the clients talk to one server, with nothing between",
  spreadsClients: false,
  start: ({ nodes }) =>
    Promise.resolve({ address: nodes[0].station.ipv4, httpPort: HTTP_PORT, bulkPorts: BULK_PORTS }),
  stop: () => Promise.resolve(),
};
