"""Asks an independent reading of the formats (hfwire.py, whose folder is the argument) about cases: JSON lines in, "good" or "bad WHY" lines out."""
import base64, json, sys

sys.path.insert(0, sys.argv[1])
import hfwire as w


def chain(case):
    return w.open_chain([base64.b64decode(n) for n in case.get("charters", [])], bytes.fromhex(case["anchor"]))


def checkpoint(case, data):
    charters = chain(case)
    origin = w.parse_body(w.split_note(data)[0])[0]
    charter = next((c for c in reversed(charters) if origin == f"{c.name}/{c.log}"), None)
    w.need(charter, w.BadHead, "no log of this feed")
    h = w.open_head(data, charter)
    return {"size": h.size, "root": h.root.hex(), "stamp": h.stamp, "cosigned": len(h.cosigs)}


def suspension(case, data):
    s = w.open_suspension(data, chain(case)[-1])
    return {"time": s.time, "sum": s.sha.hex(), "signers": len(s.signers), "items": len(s.items)}


def invite(case, data):
    m = w.decode_invite(data.decode("latin-1"))
    return {"feed": m[1], "anchor": m[2].hex(), "addrs": len(m[4])}


def proof(case, data):
    cp, index, head, body = w.open_proof(data, bytes.fromhex(case["anchor"]))
    return {"origin": cp.origin, "index": index, "stamp": cp.stamp, "discloses": body is not None}


def evidence(case, data):
    return {"kind": w.open_evidence(data, bytes.fromhex(case["anchor"]))}


def charters(case, data):
    last = chain(case)[-1]
    return {"version": last.version, "log": last.log}


def charter(case, data):
    c = w.parse_charter(data)
    return {"anchor": c.anchor.hex(), "version": c.version, "expires": c.expires, "roots": len(c.root[1]), "closed": len(c.closed)}


for line in sys.stdin:
    case = json.loads(line)
    try:
        got = globals()[case["kind"]](case, base64.b64decode(case.get("data", "")))
        print("good", json.dumps(got, separators=(",", ":"), sort_keys=True))
    except ValueError as e:
        print("bad", str(e).replace("\n", " "))
