/**
 * The classic BPF program on the packet socket: only frames for a virtual IP with its virtual MAC, and ARP requests
 * and neighbour solicitations about one, reach the ring. Everything else that the interface sees costs nothing.
 *
 * The MAC is compared too: a frame for a virtual IP that somebody sent to this node's own MAC reaches no other node,
 * and the kernel has taken it already.
 */
import { BpfAssembler, type BpfInstruction } from "../../ffi/bpf.ts";
import { readInt32 } from "../wire/bytes.ts";
import { ETHER_TYPE, ETHERNET_HEADER_BYTES } from "../wire/ethernet.ts";
import { ND, ND_SOLICIT } from "../wire/ndp.ts";
import { PROTOCOL } from "../wire/packet.ts";
import { type PlannedVip } from "./plan.ts";

/** Frame offsets of the fields that the filter reads. */
const IP = ETHERNET_HEADER_BYTES;
const OFFSET = {
  destinationMac: 0,
  etherType: 12,
  arpTarget: IP + 24,
  ipv4Destination: IP + 16,
  ipv6NextHeader: IP + 6,
  ipv6Destination: IP + 24,
  icmpv6Type: IP + 40,
  solicitationTarget: IP + 40 + ND.target,
};

/** The program for the virtual IPs of one interface. */
export function captureFilter(vips: readonly PlannedVip[]): BpfInstruction[] {
  const v4 = vips.filter(({ address }) => address.length === 4);
  const v6 = vips.filter(({ address }) => address.length === 16);
  const program = new BpfAssembler();
  let labels = 0;
  /** For each virtual IP whose address stands at `offset`, `then`; falls through where none does. */
  const forAddress = (list: readonly PlannedVip[], offset: number, then: (vip: PlannedVip) => void) => {
    for (const vip of list) {
      const next = `next${labels++}`;
      for (let word = 0; word < vip.address.length; word += 4) {
        program.load(offset + word, 4).jumpUnlessEqual(readInt32(vip.address, word) >>> 0, next);
      }
      then(vip);
      program.label(next);
    }
  };
  const acceptIfVirtualMac = ({ mac }: PlannedVip) => {
    const wrong = `wrong${labels++}`;
    program.load(OFFSET.destinationMac, 4).jumpUnlessEqual(readInt32(mac, 0) >>> 0, wrong)
      .load(OFFSET.destinationMac + 4, 2).jumpUnlessEqual((mac[4] << 8) | mac[5], wrong)
      .accept().label(wrong).reject();
  };

  // A tagged frame belongs to the VLAN's own interface; tag 0 only gives a priority.
  program.loadVlanTag().jumpIfBits(0x0fff, "reject").load(OFFSET.etherType, 2)
    .jumpIfEqual(ETHER_TYPE.ipv4, "ipv4").jumpIfEqual(ETHER_TYPE.arp, "toArp")
    .jumpIfEqual(ETHER_TYPE.ipv6, "toIpv6").label("reject").reject()
    // A branch reaches 255 instructions, a jump any number.
    .label("toArp").jump("arp").label("toIpv6").jump("ipv6").label("ipv4");
  forAddress(v4, OFFSET.ipv4Destination, acceptIfVirtualMac);
  program.reject().label("arp");
  forAddress(v4, OFFSET.arpTarget, () => program.accept());
  program.reject().label("ipv6").load(OFFSET.ipv6NextHeader, 1).jumpUnlessEqual(PROTOCOL.icmpv6, "toPacket")
    .load(OFFSET.icmpv6Type, 1).jumpIfEqual(ND_SOLICIT, "solicitation")
    .label("toPacket").jump("packet").label("solicitation");
  forAddress(v6, OFFSET.solicitationTarget, () => program.accept());
  program.reject().label("packet");
  forAddress(v6, OFFSET.ipv6Destination, acceptIfVirtualMac);
  return program.reject().assemble();
}
