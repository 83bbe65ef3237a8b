#!/usr/bin/env python3
"""Verifies a proof from an audit trail of Countersign: that an entry is in a signed trail, or that one signed trail is the beginning of another.

    python verify_proof.py proof.json --keys public-keys.json

It needs `trail_signatures.py` beside it, Python 3.11 and the package `cryptography`. It exits with 0 when the proof holds and with 1 when it does not.
"""
import argparse
import json
import sys

from trail_signatures import UNREADABLE, Keys, Times, lines_of, load, node_hash, open_evidence, read_anchor, read_entry, sha256, text_of


def lead(index: int, size: int, node: bytes, older: bytes, proof: list[bytes]) -> tuple[bytes, bytes]:
    """Follows a path (RFC 9162, 2.1.3.2 and 2.1.4.2) to the root, and to that of the older tree. Raises ValueError."""
    last = size - 1
    for sibling in proof:
        if last == 0:
            raise ValueError("the proof is too long")
        if index % 2 == 1 or index == last:
            node, older = node_hash(sibling, node), node_hash(sibling, older)
            while index % 2 == 0 and index != 0:
                index, last = index // 2, last // 2
        else:
            node = node_hash(node, sibling)
        index, last = index // 2, last // 2
    if last != 0:
        raise ValueError("the proof is too short")
    return node, older


def refuse(_code: str, _at: int, problem: str, found: bool = True) -> None:
    if found:
        raise ValueError(problem)


def verify_proof(given: dict, keys: Keys, anchors: list[str] = []) -> dict:
    """Raises ValueError where the proof does not lead from what it proves to a signed root, or a signature counts no more."""
    proof, times, opened = [bytes.fromhex(node) for node in given["proof"]], Times(keys, refuse), []
    for jws in (given[name] for name in ("checkpoint", "first", "second") if name in given):
        kid, claims = keys.open(jws, "checkpoint")
        times.judge(kid, claims["iat"], claims["size"])
        times.vouch(kid, claims["size"], claims["iat"], jws in anchors)
        opened.append(claims)
    told = proven(given, keys, times, opened, proof)
    times.finish()
    return told


def proven(given: dict, keys: Keys, times: Times, opened: list[dict], proof: list[bytes]) -> dict:
    tenant, sizes = opened[0]["tenant"], [claims["size"] for claims in opened]
    roots = [bytes.fromhex(claims["root"].removeprefix("sha256:")) for claims in opened]
    if given["type"] == "inclusion":
        body, leaf = read_entry(given["entry"]), sha256(b"\x00" + given["entry"].encode())
        good = body is not None and body["tenant"] == tenant and body["seq"] <= sizes[0]
        if not good or lead(body["seq"] - 1, sizes[0], leaf, leaf, proof)[0] != roots[0]:
            raise ValueError("the proof does not lead from the entry to the root")
        if "evidence" in given:
            code, text, claims = open_evidence(keys, body, given["evidence"])
            refuse("evidence", body["seq"], text, code is not None)
            if claims:
                times.judge(text, claims["iat"], body["seq"])
        return {"ok": True, "type": "inclusion", "tenant": tenant, "seq": body["seq"], "size": sizes[0]}
    path = [roots[0], *proof] if sizes[0] & (sizes[0] - 1) == 0 else proof
    index, last = sizes[0] - 1, sizes[1] - 1
    while index % 2 == 1:
        index, last = index // 2, last // 2
    same = sizes[0] == sizes[1] and not proof and roots[0] == roots[1]
    grown = sizes[0] < sizes[1] and lead(index, last + 1, path[0], path[0], path[1:]) == (roots[1], roots[0])
    if opened[1]["tenant"] != tenant or not (same or grown):
        raise ValueError("the first trail is not shown to be the beginning of the second")
    return {"ok": True, "type": "consistency", "tenant": tenant, "from": sizes[0], "to": sizes[1]}


def main() -> int:
    parser = argparse.ArgumentParser(description="Verifies a proof from an audit trail.")
    parser.add_argument("file")
    parser.add_argument("--keys", required=True, help="public keys, as `countersign keys public` prints them")
    parser.add_argument("--anchors", nargs="*", default=[], help="files of checkpoints that were kept elsewhere")
    options = parser.parse_args()
    try:
        anchors = [read_anchor(line)["jws"] for name in options.anchors for line in lines_of(name)]
        report = verify_proof(load(text_of(options.file)), Keys(text_of(options.keys)), anchors)
    except (*UNREADABLE, IndexError) as error:
        report = {"ok": False, "problems": [{"code": "proof", "at": 0, "problem": str(error)}]}
    print(json.dumps(report, indent=2))
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
