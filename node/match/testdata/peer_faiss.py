#!/usr/bin/env python3
"""peer_faiss.py INDEX VALUES QUERIES: FAISS as a peer of the tables, over hashes of 256 bits that lie end to end in two files. INDEX is `flat`, or `CxB`
for a multi-hash of C chunks of B bits. Builds it, prints a line of JSON about it, and then answers each line `FIRST SECONDS` of
standard input: looks up the queries from FIRST on within 31 bits, one after another and from the beginning again after the last, until the time is
over or each had its turn; prints for each how long it took, and how many hits of which IDs and distances."""
import ctypes, json, resource, sys, time
import numpy as np
import faiss

MOST = 4096  # hits of a lookup: beyond, the nearest, then those with the lowest IDs

def private():
    """Bytes of memory of this process that aren't files'."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("RssAnon")) * 1024

def popcnt():
    """Whether FAISS' machine code has the POPCNT instruction: f3 REX.W 0f b8."""
    paths = {l.split()[-1] for l in open("/proc/self/maps") if "faiss" in l}
    return any(sum(open(p, "rb").read().count(bytes([0xf3, rex, 0x0f, 0xb8])) for rex in (0x48, 0x49, 0x4c, 0x4d)) > 8 for p in paths)

def load(path):
    """The hashes of a file, with room behind them: FAISS 1.7 reads bits by 8 bytes, also beyond the last hash."""
    data = np.memmap(path, np.uint8, "r").reshape(-1, 32)
    room = np.zeros((len(data) + 1, 32), np.uint8)
    room[:-1] = data
    return room[:-1]

def build(kind, values):
    if kind == "flat":
        index = faiss.IndexBinaryFlat(256)
    else:
        chunks, bits = map(int, kind.split("x"))
        index = faiss.IndexBinaryMultiHash(256, chunks, bits)
        index.nflip = 31 // chunks  # with more errors in every chunk there were 32 or more
    index.add(values)
    return index

def main():
    kind, values, queries = sys.argv[1:]
    faiss.omp_set_num_threads(1)
    values, queries = load(values), load(queries)
    before, began = private(), time.perf_counter()
    index = build(kind, values)
    took = time.perf_counter() - began
    options = faiss.get_compile_options().split()
    print(json.dumps({"build": took, "bytes": max(private() - before, 0), "version": faiss.__version__,
                      "avx2": any(o.startswith("AVX") for o in options), "popcnt": popcnt()}), flush=True)
    for line in sys.stdin:
        first, seconds = int(line.split()[0]), float(line.split()[1])
        answers, end = [], time.perf_counter() + seconds
        for i in range(len(queries)):
            query = queries[(first + i) % len(queries)][None]
            began = time.perf_counter()
            _, distances, ids = index.range_search(query, 32)  # below 32
            done = time.perf_counter()
            ids, distances = ids.astype(np.uint64), distances.astype(np.uint64)
            if len(ids) > MOST:
                order = np.lexsort((ids, distances))[:MOST]
                ids, distances = ids[order], distances[order]
            answers.append([round((done - began) * 1e9), len(ids), int(ids.sum()), int(distances.sum()), int((ids * distances).sum())])
            if done > end:
                break
        print(json.dumps(answers), flush=True)

main()
