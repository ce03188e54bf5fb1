/**
 * Offsets and sizes, in bytes, of every C structure that `ffi/` reads or writes.
 *
 * All are those of a little-endian LP64 machine: x86-64 and arm64 agree on each.
 * `tests/unit/ffi/layout_test.ts` compiles a probe from this file and compares every number with the C headers.
 */

// poll.h, time.h, sched.h
export const pollfd = {
  name: "struct pollfd",
  size: 8,
  offsets: { fd: 0, events: 4, revents: 6 },
} as const;
export const timespec = {
  name: "struct timespec",
  size: 16,
  offsets: { tv_sec: 0, tv_nsec: 8 },
} as const;
export const sched_param = {
  name: "struct sched_param",
  size: 4,
  offsets: { sched_priority: 0 },
} as const;

// sys/socket.h, sys/uio.h
export const iovec = {
  name: "struct iovec",
  size: 16,
  offsets: { iov_base: 0, iov_len: 8 },
} as const;
export const mmsghdr = {
  name: "struct mmsghdr",
  size: 64,
  offsets: {
    "msg_hdr.msg_name": 0,
    "msg_hdr.msg_namelen": 8,
    "msg_hdr.msg_iov": 16,
    "msg_hdr.msg_iovlen": 24,
    "msg_hdr.msg_control": 32,
    "msg_hdr.msg_controllen": 40,
    "msg_hdr.msg_flags": 48,
    msg_len: 56,
  },
} as const;

// netinet/in.h
export const sockaddr_un = {
  name: "struct sockaddr_un",
  size: 110,
  offsets: { sun_family: 0, sun_path: 2 },
} as const;
export const sockaddr_in = {
  name: "struct sockaddr_in",
  size: 16,
  offsets: { sin_family: 0, sin_port: 2, sin_addr: 4 },
} as const;
export const sockaddr_in6 = {
  name: "struct sockaddr_in6",
  size: 28,
  offsets: { sin6_family: 0, sin6_port: 2, sin6_flowinfo: 4, sin6_addr: 8, sin6_scope_id: 24 },
} as const;
export const ip_mreqn = {
  name: "struct ip_mreqn",
  size: 12,
  offsets: { imr_multiaddr: 0, imr_address: 4, imr_ifindex: 8 },
} as const;
export const ipv6_mreq = {
  name: "struct ipv6_mreq",
  size: 20,
  offsets: { ipv6mr_multiaddr: 0, ipv6mr_interface: 16 },
} as const;

// linux/if_packet.h
export const sockaddr_ll = {
  name: "struct sockaddr_ll",
  size: 20,
  offsets: {
    sll_family: 0,
    sll_protocol: 2,
    sll_ifindex: 4,
    sll_hatype: 8,
    sll_pkttype: 10,
    sll_halen: 11,
    sll_addr: 12,
  },
} as const;
export const packet_mreq = {
  name: "struct packet_mreq",
  size: 16,
  offsets: { mr_ifindex: 0, mr_type: 4, mr_alen: 6, mr_address: 8 },
} as const;
export const tpacket_req = {
  name: "struct tpacket_req",
  size: 16,
  offsets: { tp_block_size: 0, tp_block_nr: 4, tp_frame_size: 8, tp_frame_nr: 12 },
} as const;
export const tpacket_stats = {
  name: "struct tpacket_stats",
  size: 8,
  offsets: { tp_packets: 0, tp_drops: 4 },
} as const;
export const tpacket2_hdr = {
  name: "struct tpacket2_hdr",
  size: 32,
  offsets: {
    tp_status: 0,
    tp_len: 4,
    tp_snaplen: 8,
    tp_mac: 12,
    tp_net: 14,
    tp_sec: 16,
    tp_nsec: 20,
    tp_vlan_tci: 24,
    tp_vlan_tpid: 26,
  },
} as const;

// linux/virtio_net.h
export const virtio_net_hdr = {
  name: "struct virtio_net_hdr",
  size: 10,
  offsets: { flags: 0, gso_type: 1, hdr_len: 2, gso_size: 4, csum_start: 6, csum_offset: 8 },
} as const;

// linux/filter.h
export const sock_filter = {
  name: "struct sock_filter",
  size: 8,
  offsets: { code: 0, jt: 2, jf: 3, k: 4 },
} as const;
export const sock_fprog = {
  name: "struct sock_fprog",
  size: 16,
  offsets: { len: 0, filter: 8 },
} as const;

// linux/bpf.h. Both grow with each kernel, which takes shorter ones: their sizes say nothing.
export const bpf_attr = {
  name: "union bpf_attr",
  offsets: {
    // BPF_MAP_CREATE
    map_type: 0,
    key_size: 4,
    value_size: 8,
    max_entries: 12,
    map_flags: 16,
    map_name: 28,
    // BPF_PROG_LOAD
    prog_type: 0,
    insn_cnt: 4,
    insns: 8,
    license: 16,
    log_level: 24,
    log_size: 28,
    log_buf: 32,
    prog_name: 48,
    // BPF_PROG_TEST_RUN
    "test.prog_fd": 0,
    "test.retval": 4,
    "test.data_size_in": 8,
    "test.data_in": 16,
    "test.repeat": 32,
    "test.duration": 36,
    // BPF_LINK_CREATE
    "link_create.prog_fd": 0,
    "link_create.target_ifindex": 4,
    "link_create.attach_type": 8,
  },
} as const;
export const __sk_buff = {
  name: "struct __sk_buff",
  offsets: { len: 0, pkt_type: 4, vlan_present: 20, vlan_tci: 24 },
} as const;

// net/if.h
export const ifreq = {
  name: "struct ifreq",
  size: 40,
  offsets: { ifr_name: 0, ifr_flags: 16 },
} as const;

// linux/netlink.h
export const sockaddr_nl = {
  name: "struct sockaddr_nl",
  size: 12,
  offsets: { nl_family: 0, nl_pid: 4, nl_groups: 8 },
} as const;
export const nlmsghdr = {
  name: "struct nlmsghdr",
  size: 16,
  offsets: { nlmsg_len: 0, nlmsg_type: 4, nlmsg_flags: 6, nlmsg_seq: 8, nlmsg_pid: 12 },
} as const;
export const nlmsgerr = {
  name: "struct nlmsgerr",
  size: 20,
  offsets: { error: 0, msg: 4 },
} as const;
export const nlattr = {
  name: "struct nlattr",
  size: 4,
  offsets: { nla_len: 0, nla_type: 2 },
} as const;

// linux/rtnetlink.h, linux/if_addr.h
export const ifinfomsg = {
  name: "struct ifinfomsg",
  size: 16,
  offsets: { ifi_family: 0, ifi_type: 2, ifi_index: 4, ifi_flags: 8, ifi_change: 12 },
} as const;
export const ifaddrmsg = {
  name: "struct ifaddrmsg",
  size: 8,
  offsets: { ifa_family: 0, ifa_prefixlen: 1, ifa_flags: 2, ifa_scope: 3, ifa_index: 4 },
} as const;

export const ifa_cacheinfo = {
  name: "struct ifa_cacheinfo",
  size: 16,
  offsets: { ifa_prefered: 0, ifa_valid: 4, cstamp: 8, tstamp: 12 },
} as const;

// linux/inet_diag.h
export const inet_diag_req_v2 = {
  name: "struct inet_diag_req_v2",
  size: 56,
  offsets: {
    sdiag_family: 0,
    sdiag_protocol: 1,
    idiag_ext: 2,
    idiag_states: 4,
    "id.idiag_sport": 8,
    "id.idiag_dport": 10,
    "id.idiag_src": 12,
    "id.idiag_dst": 28,
    "id.idiag_if": 44,
    "id.idiag_cookie": 48,
  },
} as const;
export const inet_diag_msg = {
  name: "struct inet_diag_msg",
  size: 72,
  offsets: {
    idiag_family: 0,
    idiag_state: 1,
    "id.idiag_sport": 4,
    "id.idiag_dport": 6,
    "id.idiag_src": 8,
    "id.idiag_dst": 24,
    "id.idiag_cookie": 44,
  },
} as const;
