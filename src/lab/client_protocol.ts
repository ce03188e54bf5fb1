/** What a lab and the client program in its namespace say to each other: one JSON object per line. */

/** Where requests come from; a port of 0, or none, lets the kernel choose. */
export interface Source {
  readonly address?: string;
  readonly port?: number;
}

/** Requests to send. */
export interface RequestBatch {
  readonly protocol: "tcp" | "udp";
  readonly address: string;
  readonly port: number;
  readonly count: number;
  /** Request i uses source i, from the start again after the last. */
  readonly sources?: readonly Source[];
  /** Most requests under way at once (default 8). */
  readonly concurrency?: number;
  /** Starts request i at i × everyMs, whatever became of the others (then `concurrency` does not count). */
  readonly everyMs?: number;
  /** An attempt without an answer is given up after this (default 2000). */
  readonly timeoutMs?: number;
  /** UDP: listens this much longer for a second answer (default 0). */
  readonly settleMs?: number;
}

/** What became of one request. */
export interface Answer {
  /** The node that answered. */
  readonly node?: string;
  /** Why there was no answer: `timeout`, `ECONNRESET`, `ECONNREFUSED`… */
  readonly error?: string;
  /** UDP: all nodes that answered, in order; more than one is a fault of the farm. */
  readonly nodes?: readonly string[];
  /** The client's own address and port. */
  readonly address: string;
  readonly port: number;
  /** When it was sent, in ms since 1970, and how long the answer took in ms. */
  readonly startMs: number;
  readonly durationMs: number;
}

/** One line to the client program. */
export type ClientCommand =
  | { readonly do: "request"; readonly batch: RequestBatch }
  /** Opens connections and keeps them; answers like `request`, by one request on each. */
  | { readonly do: "open"; readonly batch: RequestBatch }
  /** One more request on every open connection. */
  | { readonly do: "ask"; readonly timeoutMs?: number }
  | { readonly do: "close" };

/** One line from the client program. */
export interface ClientReply {
  readonly answers?: readonly Answer[];
  readonly failure?: string;
}
