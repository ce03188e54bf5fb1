"""A slow oracle for src/ownership, independent of it: written from the papers and from the description in
src/ownership/*.ts, in another language, with whole 64-bit numbers, nothing cached and nothing clever.

    oracle.py vectors C D     64 lines: SipHash-C-D of 0, 1, ... n-1 under the key 00 01 ... 0f, in hex
    oracle.py farms           reads a JSON list of farms from stdin, writes who owns what (see `farm`)
"""

import decimal
import hashlib
import hmac
import ipaddress
import json
import math
import sys

MASK = 2**64 - 1


def rotl(x, n):
    return ((x << n) | (x >> (64 - n))) & MASK


def sip_round(v0, v1, v2, v3):
    v0 = (v0 + v1) & MASK
    v2 = (v2 + v3) & MASK
    v1 = rotl(v1, 13) ^ v0
    v3 = rotl(v3, 16) ^ v2
    v0 = rotl(v0, 32)
    v2 = (v2 + v1) & MASK
    v0 = (v0 + v3) & MASK
    v1 = rotl(v1, 17) ^ v2
    v3 = rotl(v3, 21) ^ v0
    v2 = rotl(v2, 32)
    return v0, v1, v2, v3


def siphash(key, message, c=1, d=3):
    k0 = int.from_bytes(key[:8], "little")
    k1 = int.from_bytes(key[8:], "little")
    v = (
        int.from_bytes(b"somepseu", "big") ^ k0,
        int.from_bytes(b"dorandom", "big") ^ k1,
        int.from_bytes(b"lygenera", "big") ^ k0,
        int.from_bytes(b"tedbytes", "big") ^ k1,
    )
    padded = message + bytes(7 - len(message) % 8) + bytes([len(message) % 256])
    for i in range(0, len(padded), 8):
        word = int.from_bytes(padded[i : i + 8], "little")
        v = (v[0], v[1], v[2], v[3] ^ word)
        for _ in range(c):
            v = sip_round(*v)
        v = (v[0] ^ word, v[1], v[2], v[3])
    v = (v[0], v[1], v[2] ^ 0xFF, v[3])
    for _ in range(d):
        v = sip_round(*v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def ln(x):
    """The same operations in the same order as src/ownership/ln.ts."""
    m, k = math.frexp(x)  # m in [1/2, 1)
    m, k = m * 2, k - 1
    if m > math.sqrt(2):
        m, k = m * 0.5, k + 1
    f = m - 1
    s = f / (2 + f)
    z = s * s
    total = 2 / 21
    for denominator in range(19, 1, -2):
        total = total * z + 2 / denominator
    return k * 0.6931471803691238 + (2 * s + (s * z * total + k * 1.9082149292705877e-10))


def ln_error(x):
    """Relative error of ln(x), measured with 40 decimal digits."""
    with decimal.localcontext() as context:
        context.prec = 40
        exact = decimal.Decimal(x).ln()
        return float(abs(decimal.Decimal(ln(x)) / exact - 1))


def uniform(rendezvous_key, name, bucket):
    member_key = hmac.new(rendezvous_key, name.encode(), hashlib.sha256).digest()[:16]
    h = siphash(member_key, bucket.to_bytes(4, "little")) >> 32
    return (h + 0.5) / 2**32


def ranking(rendezvous_key, members, bucket):
    """Names of the eligible members, the owner first."""
    scored = []
    for member in members:
        if member["weight"] > 0:
            draw = 1 / -ln(uniform(rendezvous_key, member["name"], bucket))
            scored.append((-(member["weight"] * draw), member["name"].encode()))
    return [name.decode() for _, name in sorted(scored)]


def flow_bucket(flow_key, flow):
    address = ipaddress.ip_address(flow["address"])
    message = address.packed
    if flow["affinity"] == "connection":
        message += flow["port"].to_bytes(2, "big")
    elif flow["affinity"] == "network":
        prefix = 24 if address.version == 4 else 64
        message = ipaddress.ip_network((address, prefix), strict=False).network_address.packed
    return siphash(flow_key, message) % 65536


def farm(question):
    """{flow_key, rendezvous_key: hex, members: [{name, weight}], flows: [{address, port, affinity}], buckets: [n]}"""
    rendezvous_key = bytes.fromhex(question["rendezvous_key"])
    flow_key = bytes.fromhex(question["flow_key"])
    members = question["members"]
    uniforms = [uniform(rendezvous_key, m["name"], b) for m in members for b in question["buckets"]]
    return {
        "flow_buckets": [flow_bucket(flow_key, flow) for flow in question["flows"]],
        "rankings": [ranking(rendezvous_key, members, bucket)[:2] for bucket in question["buckets"]],
        # Exact: repr of a double reads back as the same double. By member, then by bucket.
        "draws": [1 / -ln(u) for u in uniforms],
        "ln_error_max": max((ln_error(u) for u in uniforms[:200]), default=0.0),
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["vectors"] and len(sys.argv) == 4:
        for length in range(64):
            value = siphash(bytes(range(16)), bytes(range(length)), int(sys.argv[2]), int(sys.argv[3]))
            print(value.to_bytes(8, "little").hex())
    elif sys.argv[1:] == ["farms"]:
        json.dump([farm(question) for question in json.load(sys.stdin)], sys.stdout)
    else:
        sys.exit(__doc__)
