/** Reads server-sent events (HTML standard, section 9.2.6) from a stream of bytes. */

export interface ServerSentEvent {
  readonly event: string;
  readonly data: string;
  readonly id: string;
}

/** Text that came in pieces, cut into events. */
export class ServerSentEventParser {
  #rest = "";

  /** Takes the next piece; gives the events that are complete with it. */
  push(piece: string): ServerSentEvent[] {
    const blocks = (this.#rest + piece).split("\n\n");
    this.#rest = blocks.pop()!;
    return blocks.map(parseBlock).filter((event) => event !== undefined);
  }
}

function parseBlock(block: string): ServerSentEvent | undefined {
  const fields: Record<string, string> = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue; // a comment
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).replace(/^ /, "");
    fields[name] = name in fields && name === "data" ? `${fields[name]}\n${value}` : value;
  }
  if (fields.data === undefined) return undefined;
  return { event: fields.event ?? "message", data: fields.data, id: fields.id ?? "" };
}

/** The events of a body as they come; `alive` is called for every piece, comments too. */
export async function* readServerSentEvents(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  alive: () => void,
): AsyncGenerator<ServerSentEvent> {
  const parser = new ServerSentEventParser();
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      yield* parser.push(value);
    }
  } finally {
    reader.cancel().catch(() => {}); // the stream has ended, or is given up
  }
}
