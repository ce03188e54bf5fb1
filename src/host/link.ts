/** An interface of this host, for whoever says by himself that it is missing. */
import { interfaceByName } from "../../ffi/interface.ts";
import { type Link } from "../../ffi/rtnetlink.ts";
import { VipfarmError } from "../core/errors.ts";

/** Kinds of interfaces (linux/if_arp.h): Ethernet, and those without a link layer, such as TUN devices. */
export const LINK_TYPE = { ethernet: 1, none: 65_534 } as const;

/** The interface of that name; undefined if there is none. */
export function findLink(name: string): Link | undefined {
  try {
    return interfaceByName(name);
  } catch (error) {
    if (error instanceof VipfarmError) return undefined;
    throw error;
  }
}
