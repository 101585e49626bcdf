"""Writes hashlookup.bloom beside itself: an implementation of DCSO's format that shares nothing with bloom.go, to hold that against.

The keys are the upper-case hex of md5, sha1 and sha256 of b"hashfeed bloom %d\n", the first kind for 0 to 39, the second to 79, the third to 99.
"""
import hashlib, math, os, struct

n, p = 100, 1e-6
m = math.ceil(-n * math.log(p) / math.log(2) ** 2)
k = math.ceil(math.log(2) * m / n)
bits = 0
for i in range(n):
    kind = hashlib.md5 if i < 40 else hashlib.sha1 if i < 80 else hashlib.sha256
    h = 0xCBF29CE484222325
    for c in kind(b"hashfeed bloom %d\n" % i).hexdigest().upper().encode():
        h = h * 0x100000001B3 % 2**64 ^ c
    h %= 2**64 - 59
    for _ in range(k):
        h = h * (2**64 - 1469) % 2**64 % (2**64 - 59)
        bits |= 1 << h % m
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "hashlookup.bloom"), "wb") as f:
    f.write(struct.pack("<QQdQQQ", 1, n, p, k, m, n))
    f.write(bits.to_bytes((m + 63) // 64 * 8, "little"))
