/** The answer of an HTTP server, as far as a check needs it (RFC 9112). Pure; any bytes may come. */

/** Part of a body that is looked at. */
const BODY_BYTES_MAX = 65_536;
/** Status line and headers: servers of our days refuse more in a request, and send less. */
const HEAD_BYTES_MAX = 16_384;
/** What is kept of an answer; chunk headers make a body longer than it is. */
export const ANSWER_BYTES_MAX = HEAD_BYTES_MAX + 2 * BODY_BYTES_MAX;

export interface HttpAnswer {
  readonly status: number;
  /** At most {@link BODY_BYTES_MAX}. */
  readonly body: Uint8Array;
  /** Whether there is no more of it, or more would not be looked at. */
  readonly complete: boolean;
}

/**
 * Reads what has come so far: undefined if the headers are not all there, a sentence if this is no answer.
 * `atEnd`: no more will come. Interim answers (status 1xx) are passed over.
 */
export function readAnswer(
  bytes: Uint8Array,
  atEnd: boolean,
  method: string,
): HttpAnswer | string | undefined {
  for (let start = 0;;) {
    const line = STATUS_LINE.exec(latin1(bytes.subarray(start, start + STATUS_LINE_BYTES)));
    if (line === null) {
      return couldBegin(bytes.subarray(start), atEnd) ? undefined : "what answers does not speak HTTP/1";
    }
    const end = endOfHead(bytes, start);
    if (end === undefined) {
      return bytes.length - start > HEAD_BYTES_MAX ? "the headers are too long" : undefined;
    }
    const status = Number(line[1]);
    if (status >= 200) {
      return withBody(status, latin1(bytes.subarray(start, end)), bytes.subarray(end), atEnd, method);
    }
    start = end;
  }
}

const STATUS_LINE = /^HTTP\/1\.\d (\d{3})[ \r\n]/;
const STATUS_LINE_BYTES = 13;
const BEGINNING = "HTTP/1.";

/** Whether more bytes can still make a status line of it. */
function couldBegin(bytes: Uint8Array, atEnd: boolean): boolean {
  if (atEnd || bytes.length >= STATUS_LINE_BYTES) return false;
  const text = latin1(bytes);
  return BEGINNING.startsWith(text) || text.startsWith(BEGINNING);
}

function endOfHead(bytes: Uint8Array, start: number): number | undefined {
  for (let i = start; i + 1 < bytes.length; i++) {
    if (bytes[i] !== 10) continue;
    if (bytes[i + 1] === 10) return i + 2;
    if (bytes[i + 1] === 13 && bytes[i + 2] === 10) return i + 3;
  }
  return undefined;
}

function withBody(
  status: number,
  head: string,
  rest: Uint8Array,
  atEnd: boolean,
  method: string,
): HttpAnswer {
  if (method === "HEAD" || status === 204 || status === 304) {
    return { status, body: rest.subarray(0, 0), complete: true };
  }
  if (/^transfer-encoding:.*\bchunked\b/im.test(head)) {
    const { body, complete } = dechunked(rest);
    return { status, body, complete: complete || atEnd };
  }
  const announced = /^content-length:\s*(\d{1,15})\s*$/im.exec(head);
  const length = Math.min(BODY_BYTES_MAX, announced === null ? BODY_BYTES_MAX : Number(announced[1]));
  return { status, body: rest.subarray(0, length), complete: atEnd || rest.length >= length };
}

/** RFC 9112 section 7.1. A body that breaks off, or is no such body, ends where it does. */
function dechunked(bytes: Uint8Array): { body: Uint8Array; complete: boolean } {
  const body = new Uint8Array(BODY_BYTES_MAX);
  let length = 0;
  for (let at = 0; length < BODY_BYTES_MAX;) {
    const lineEnd = bytes.indexOf(10, at);
    if (lineEnd < 0) return { body: body.subarray(0, length), complete: false };
    const size = /^([0-9a-f]{1,8})\s*(;|$)/i.exec(latin1(bytes.subarray(at, lineEnd)).trimEnd());
    if (size === null) return { body: body.subarray(0, length), complete: true };
    const chunk = bytes.subarray(lineEnd + 1, lineEnd + 1 + parseInt(size[1], 16));
    if (parseInt(size[1], 16) === 0) return { body: body.subarray(0, length), complete: true };
    const taken = chunk.subarray(0, BODY_BYTES_MAX - length);
    body.set(taken, length);
    length += taken.length;
    if (chunk.length < parseInt(size[1], 16)) return { body: body.subarray(0, length), complete: false };
    // Behind a chunk stands an end of line.
    at = bytes.indexOf(10, lineEnd + 1 + chunk.length) + 1;
    if (at === 0) return { body: body.subarray(0, length), complete: false };
  }
  return { body, complete: true };
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
