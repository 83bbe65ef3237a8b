#!/usr/bin/env python3
"""Verifies an audit trail of Countersign with nothing but its file and public keys.

    python verify_trail.py acme.jsonl --keys public-keys.json [--anchors anchored.jsonl ...] [--json]

It shares no code with Countersign: docs/trail.md describes the formats. It needs `trail_signatures.py` beside it, Python 3.11 and the package
`cryptography`. It exits with 0 when everything verifies and with 1 when something does not; `problems` names what, and where. `openGrants` were used by actions
that have no receipt. Time stamps beside anchors are counted and not checked: `openssl ts -verify` and `countersign trail verify` do that.
"""
import argparse
import json
import sys

from trail_signatures import COUNT, TEXT, UNREADABLE, Keys, Times, digest, lines_of, load, node_hash, open_evidence, read_anchor, read_entry, sha256, text_of

FORMAT = "countersign-trail/1"
LINES = {
    "trail": {"format": lambda value: value == FORMAT, "tenant": TEXT},
    "entry": {"seq": lambda value: COUNT(value) and value > 0, "hash": TEXT, "entry": TEXT, "evidence": TEXT},
    "checkpoint": {"jws": TEXT}, "end": {"entries": COUNT, "checkpoints": COUNT},
}


def read_line(text: str) -> dict | None:
    """A line of an export; None when it is none."""
    try:
        line = load(text)
        members = LINES[line["type"]]
        fits = all(members[name](value) for name, value in line.items() if name != "type")
        return line if fits and set(members) - set(line) <= {"evidence"} else None
    except UNREADABLE:
        return None


class Verification:
    def __init__(self, keys: Keys, anchors: list[str]) -> None:
        self.keys, self.tenant, self.problems, self.ended, self.comparable = keys, None, [], False, True
        self.line = self.entries = self.checkpoints = self.covered = self.withheld = self.anchored = 0
        # The last of each: its number, and the hash that the next one names.
        self.last = self.receipt = self.checkpoint = (0, None)
        # The right edge of the Merkle tree (RFC 6962, 2.1): roots of its complete subtrees, largest first.
        self.size, self.peaks = 0, []
        self.anchors: dict[int, list[tuple[int, dict]]] = {}
        self.times = Times(keys, self.report)
        self.granted: dict[str, dict[str, int]] = {}
        self.open: dict[int, dict] = {}
        for number, jws in enumerate(anchors, 1):
            try:
                kid, claims = keys.open(jws, "checkpoint")
                self.anchors.setdefault(claims["size"], []).append((number, kid, claims))
            except UNREADABLE as error:
                self.report("anchor_signature", number, str(error))

    def report(self, code: str, at: int, problem: str, found: bool = True) -> None:
        if found:
            self.problems.append({"code": code, "at": at, "problem": problem})

    def take(self, text: str) -> None:
        self.line += 1
        line = read_line(text)
        kind = None if line is None else line["type"]
        if self.line == 1:
            self.tenant = line["tenant"] if kind == "trail" else None
            self.report("format", 1, f"the first line is not that of {FORMAT}", kind != "trail")
        elif kind in (None, "trail") or self.ended:
            self.report("line", self.line, "a line that does not belong there")
        elif kind == "entry":
            self.take_entry(line["seq"], line["hash"], line["entry"], line.get("evidence"))
        elif kind == "checkpoint":
            self.take_checkpoint(line["jws"])
        else:
            self.ended = True
            self.report("end", self.last[0], "counts differ", (line["entries"], line["checkpoints"]) != (self.entries, self.checkpoints))

    def take_entry(self, seq: int, stored: str, text: str, evidence: str | None) -> None:
        self.entries += 1
        leaf = b"\x00" + text.encode()
        computed = digest(leaf)
        self.report("entry_hash", seq, "the text is not what the hash is of", stored != computed)
        body = read_entry(text)
        if body is None:
            self.comparable, self.last = False, (seq, computed)
            return self.report("entry_shape", seq, "this is no entry")
        self.tenant = body["tenant"] if self.tenant is None else self.tenant
        self.report("entry_tenant", seq, "the entry is of another tenant", body["tenant"] != self.tenant)
        self.report("entry_seq", seq, f"the entry says that it is {body['seq']}", body["seq"] != seq)
        expected = self.last[0] + 1
        if body["seq"] < expected:
            return self.report("order", body["seq"], "repeated or out of order")
        if body["seq"] > expected:
            self.comparable = False
            self.report("missing", expected, f"entries {expected} to {body['seq'] - 1} are missing")
        elif body["prev"] != self.last[1]:
            self.report("entry_link", seq, "the entry does not name the one before it")
        self.last = (body["seq"], computed)
        self.grow(sha256(leaf))
        self.take_evidence(body, evidence)
        self.take_grants(body)
        for number, kid, claims in self.anchors.get(self.last[0], []) if self.comparable else []:
            if claims["tenant"] == self.tenant and self.fits(claims):
                self.anchored += 1
                self.times.vouch(kid, claims["size"], claims["iat"], True)
            elif claims["tenant"] == self.tenant:
                self.report("fork", claims["size"], f"anchor {number} was made over other entries")

    def grow(self, leaf: bytes) -> None:
        size = self.size = self.size + 1
        while size % 2 == 0:
            leaf, size = node_hash(self.peaks.pop(), leaf), size // 2
        self.peaks.append(leaf)

    def fits(self, claims: dict) -> bool:
        root = self.peaks[-1] if self.peaks else sha256(b"")
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return (claims["root"], claims["head"]) == ("sha256:" + root.hex(), self.last[1])

    def take_evidence(self, body: dict, evidence: str | None) -> None:
        if evidence is None:
            self.withheld += 1
        else:
            code, told, claims = open_evidence(self.keys, body, evidence)
            self.report(code, body["seq"], told, code is not None)
            if claims:
                linked = claims["seq"] != self.receipt[0] + 1 or claims["prev"] == self.receipt[1]
                self.report("receipt_link", body["seq"], "the receipt does not name the one before it", not linked)
                self.times.judge(told, claims["iat"], body["seq"])
        if "receipt" in body:
            self.report("receipt_missing", body["seq"], "a receipt has no entry", body["receipt"] != self.receipt[0] + 1)
            self.receipt = (body["receipt"], body["digest"])

    def take_grants(self, body: dict) -> None:
        if "grants" not in body:  # It ends no action.
            return
        seq, entered, own = body["seq"], self.granted.get(body["subject"], {}), body["kind"] == "grant_used"
        named = {grant["jti"]: grant.get("entry", seq) for grant in body["grants"] if own or "entry" in grant}
        wrong = not named.keys().isdisjoint(entered) if own else "receipt" in body and named != entered
        self.report("grant_entry", seq, "a grant has two entries, or the receipt does not name the one it has", wrong)
        if own:
            self.granted[body["subject"]], grant = named | entered, body["grants"][0]
            self.open[seq] = {"entry": seq, "actionId": body["subject"], "jti": grant["jti"], "usedAt": str(grant.get("usedAt", body["at"]))}
        for entry in entered.values() if "receipt" in body else []:
            self.open.pop(entry, None)

    def take_checkpoint(self, jws: str) -> None:
        self.checkpoints += 1
        seq, (before, named) = self.last[0], self.checkpoint
        try:
            kid, claims = self.keys.open(jws, "checkpoint")
        except UNREADABLE as error:
            return self.report("checkpoint_signature", seq, str(error))
        size = claims["size"]
        if claims["tenant"] != self.tenant:
            return self.report("checkpoint_tenant", size, "the checkpoint is of another tenant")
        if size <= before or size < seq:
            return self.report("checkpoint_order", size, "the checkpoint is repeated or older than what is before it")
        self.report("checkpoint_link", size, "the checkpoint does not name the one before it", claims["prev"] != named)
        self.checkpoint = (size, digest(jws.encode()))
        self.times.judge(kid, claims["iat"], size)
        if size > seq:
            self.report("truncated", size, f"the checkpoint covers {size} entries, there are {seq}")
        elif self.comparable and self.fits(claims):
            self.covered = size
            self.times.vouch(kid, size, claims["iat"], False)
        elif self.comparable:
            self.comparable = False
            self.report("root", size, f"entries {before + 1} to {size} are not all those that were signed")

    def finish(self) -> dict:
        self.report("end", self.last[0], "the file ends without its end", not self.ended)
        for size, anchors in self.anchors.items():
            # A file of anchors may be about many tenants.
            if size > self.last[0] and any(claims["tenant"] == self.tenant for _, _, claims in anchors):
                self.report("truncated", size, f"an anchor covers {size} entries, there are {self.last[0]}")
        self.times.finish()
        told = {name: getattr(self, name) for name in ("tenant", "entries", "checkpoints", "covered", "withheld", "problems")}
        return {"ok": not self.problems, **told, "anchors": self.anchored, "openGrants": list(self.open.values())}


def main() -> int:
    parser = argparse.ArgumentParser(description="Verifies an exported audit trail.")
    parser.add_argument("file")
    parser.add_argument("--keys", required=True, help="public keys, as `countersign keys public` prints them")
    parser.add_argument("--anchors", nargs="*", default=[], help="files of checkpoints that were kept elsewhere")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args()
    anchors = [read_anchor(line) for name in options.anchors for line in lines_of(name)]
    verification = Verification(Keys(text_of(options.keys)), [line["jws"] for line in anchors])
    for line in lines_of(options.file):
        verification.take(line)
    report = verification.finish() | {"timestampsUnchecked": sum("timestamp" in line for line in anchors)}
    told = {name: value for name, value in report.items() if name != "problems"}
    print(json.dumps(report, indent=2) if options.json else f"{'verified' if report['ok'] else 'NOT verified'}: {told}")
    for problem in [] if options.json else report["problems"]:
        print(f"  {problem['code']} #{problem['at']}  {problem['problem']}")
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
