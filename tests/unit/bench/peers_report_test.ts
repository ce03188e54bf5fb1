import assert from "node:assert/strict";
import { type Figures, parseWrk, receivedBitsPerS } from "../../bench/peers/measure.ts";
import { median, medians, ratioTable, report } from "../../bench/peers/report.ts";

const WRK = `Running 1s test @ http://198.18.0.1:80/
  1 threads and 1 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    40.47us   89.86us   4.14ms   99.33%
    Req/Sec    27.31k     2.71k   30.60k    70.00%
  Latency Distribution
     50%   26.00us
     75%   35.00us
     90%   52.00us
     99%    1.25ms
  27172 requests in 1.00s, 4.12MB read
Requests/sec:  27166.32
Transfer/sec:      4.12MB
`;

Deno.test("wrk's report is read, with the latencies in one unit", () => {
  assert.deepEqual(parseWrk(WRK), { requestsPerS: 27166.32, p50Us: 26, p99Us: 1_250 });
});

Deno.test("a report with failed requests, or none at all, is an error and not a figure", () => {
  const failed = WRK.replace(
    "Requests/sec",
    "  Socket errors: connect 0, read 3, write 0, timeout 0\nRequests/sec",
  );
  assert.throws(() => parseWrk(failed), /failed requests/);
  assert.throws(() => parseWrk(WRK.replace("Requests/sec", "  Non-2xx or 3xx responses: 7\nRequests/sec")));
  assert.throws(() => parseWrk("unable to connect to 198.18.0.1:80 Connection refused"), /no rate/);
});

Deno.test("iperf3's report is read, and one without a transfer is an error that says why", () => {
  assert.equal(receivedBitsPerS('{"end":{"sum_received":{"bits_per_second":2.5e9}}}'), 2.5e9);
  assert.throws(() => receivedBitsPerS('{"end":{},"error":"the server is busy"}'), /the server is busy/);
  assert.throws(() => receivedBitsPerS('{"end":{"sum_received":{"bits_per_second":0}}}'), /moved nothing/);
});

const figures = (value: number): Figures => ({
  keepAlivePerS: value,
  connectPerS: value,
  latencyP50Us: value,
  latencyP99Us: value,
  downloadGbps: value,
  downloadOneGbps: value,
  uploadGbps: value,
});

const round = (value: number, straight: number) => ({ figures: figures(value), straight: figures(straight) });

Deno.test("the median is the middle value, or the mean of the two in the middle", () => {
  assert.equal(median([3, 1, 20]), 3);
  assert.equal(median([4, 1, 2, 9]), 3);
  assert.throws(() => median([]));
  assert.deepEqual(medians([figures(1), figures(5), figures(2)]), figures(2));
});

Deno.test("a disturbed round does not change the ratios", () => {
  const contenders = [
    { name: "other", setup: "some", rounds: [round(50, 100), round(5, 10), round(60, 120)] },
  ];
  assert.match(ratioTable(contenders).split("\n")[3], /\| other +(\| +50 ){7}\|/);
});

Deno.test("ratios are to straight, in hundredths", () => {
  const contenders = [
    { name: "other", setup: "some", rounds: [round(50, 200)] },
  ];
  const rows = ratioTable(contenders).split("\n");
  assert.equal(rows.length, 4);
  assert.deepEqual(rows[2].split("|").slice(2, -1).map(Number), Array(7).fill(100));
  assert.deepEqual(rows[3].split("|").slice(2, -1).map(Number), Array(7).fill(25));
  const conditions = { rounds: 1, settle: 1, seconds: 1, cores: 2, kernel: "6.18" };
  assert.match(report(contenders, conditions), /- \*\*other\*\*: some\./);
  assert.match(report(contenders, conditions), /\| straight +\| +200 /, "what straight was");
});
