/** TCP connections to an address: there is no name to look up, and no second family to try. */
import { type IpAddress } from "../core/address.ts";

export function connect(address: IpAddress, port: number, signal: AbortSignal): Promise<Deno.TcpConn> {
  return Deno.connect({ hostname: address.text, port, signal, autoSelectFamily: false });
}
