/** One interface looked up by name or index: what a configuration's `interface:` becomes. */

import { SystemError } from "./errors.ts";
import { IFLA_IFNAME, NETLINK_ROUTE, RTM_GETLINK } from "./layout/constants.ts";
import { ERRNO } from "./layout/errno.ts";
import { cString } from "./libc.ts";
import { attribute, concatenate, NetlinkSocket } from "./netlink.ts";
import { type Link, linkHeader, parseLink } from "./rtnetlink.ts";

const OPERATION = "find interface";

/** The interface of that name. Throws {@link SystemError} ENODEV when there is none. */
export function interfaceByName(name: string): Link {
  return find(concatenate(linkHeader(0, 0, 0), attribute(IFLA_IFNAME, cString(name))), name);
}

/** The interface with that index. Throws {@link SystemError} ENODEV when there is none. */
export function interfaceByIndex(index: number): Link {
  return find(linkHeader(index, 0, 0), `interface index ${index}`);
}

/** Whether the interface has a carrier, as the driver says at this moment; one that is not there has none. */
export function hasCarrier(name: string): boolean {
  try {
    return interfaceByName(name).carrier;
  } catch (error) {
    if (error instanceof SystemError) return false;
    throw error;
  }
}

function find(body: Uint8Array, shown: string): Link {
  using socket = NetlinkSocket.open(NETLINK_ROUTE, "interfaces");
  const found: Link[] = [];
  socket.request(RTM_GETLINK, 0, body, OPERATION, shown, (_type, bytes, start, end) => {
    found.push(parseLink(bytes, start, end));
  });
  if (found.length === 0) {
    throw new SystemError({ operation: OPERATION, errno: ERRNO.ENODEV[0], value: shown });
  }
  return found[0];
}
