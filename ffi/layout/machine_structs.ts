/** Structures whose layout differs between the machines; proved as those of `structs.ts` are. */

/** Packed on x86-64, so that 32-bit programs see the same one (EPOLL_PACKED in sys/epoll.h). */
export const EPOLL_EVENT = {
  x86_64: { name: "struct epoll_event", size: 12, offsets: { events: 0, data: 4 } },
  aarch64: { name: "struct epoll_event", size: 16, offsets: { events: 0, data: 8 } },
} as const;
