#!/usr/bin/env python3
"""Verifies an audit trail of Countersign, or a proof from one, with nothing but its file and public keys.

    python verify_trail.py acme.jsonl --keys public-keys.json [--anchors anchored.jsonl ...] [--json]

It shares no code with Countersign: docs/trail.md describes the formats. It needs Python 3.11 and the package `cryptography`. It exits with 0 when
everything verifies and with 1 when something does not; `problems` names what, and where.
"""
import argparse
import base64
import hashlib
import json
import re
import sys
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "countersign-trail/1"
COMPACT = re.compile(r"^(([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+))\.([A-Za-z0-9_-]{85}[AQgw])$")
DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")
MEMBERS = {"trail": {"type", "format", "tenant"}, "checkpoint": {"type", "jws"}, "end": {"type", "entries", "checkpoints"}}
ENTRY_MEMBERS = {"type", "seq", "hash", "entry"}


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def digest(text: str) -> str:
    return "sha256:" + sha256(text.encode()).hex()


def leaf_hash(entry: str) -> bytes:
    return sha256(b"\x00" + entry.encode())


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right)


def unpadded(text: str) -> bytes:
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise ValueError("not canonical base64url")
    return data


def is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def instant(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Keys:
    """Public keys of receipts by RFC 7638 thumbprint, each with the times between which it was good."""

    def __init__(self, text: str) -> None:
        self.keys: dict[str, Ed25519PublicKey] = {}
        self.periods: dict[str, dict[str, str]] = {}
        for jwk in json.loads(text)["receipt"]:
            if "d" in jwk or jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
                raise ValueError("a key is no public Ed25519 key")
            named = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": jwk["x"]}, separators=(",", ":"))
            kid = base64.urlsafe_b64encode(sha256(named.encode())).rstrip(b"=").decode()
            self.keys[kid] = Ed25519PublicKey.from_public_bytes(unpadded(jwk["x"]))
            self.periods[kid] = {name: jwk[name] for name in ("notBefore", "notAfter", "revokedAt") if name in jwk}

    def open(self, token: str, kind: str) -> tuple[str, dict]:
        """The key id and the claims of a token that verifies. Raises ValueError."""
        match = COMPACT.match(token)
        if match is None:
            raise ValueError("no compact JWS with an Ed25519 signature")
        signed, head, payload, signature = match.groups()
        header = json.loads(unpadded(head))
        if set(header) != {"alg", "typ", "kid"} or header["alg"] != "EdDSA" or header["typ"] != f"countersign-{kind}+jwt":
            raise ValueError(f"not the header of a {kind}")
        key = self.keys.get(header["kid"])
        if key is None:
            raise ValueError("signed by a key that is not known")
        try:
            key.verify(unpadded(signature), signed.encode())
        except InvalidSignature:
            raise ValueError("the signature does not verify") from None
        return header["kid"], json.loads(unpadded(payload))


class Tree:
    """The right edge of a Merkle tree (RFC 6962, 2.1)."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        size = self.size
        while size % 2 == 1:
            leaf = node_hash(self.peaks.pop(), leaf)
            size //= 2
        self.peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        node = None
        for peak in reversed(self.peaks):
            node = peak if node is None else node_hash(peak, node)
        return sha256(b"") if node is None else node


class Verification:
    def __init__(self, keys: Keys, anchors: list[str]) -> None:
        self.keys = keys
        self.problems: list[dict] = []
        self.line = self.entries = self.checkpoints = self.covered = self.withheld = self.anchored = 0
        self.tenant: str | None = None
        self.ended = False
        self.comparable = True
        self.last: tuple[int, str | None] = (0, None)
        self.receipt: tuple[int, str | None] = (0, None)
        self.checkpoint: tuple[int, str | None] = (0, None)
        self.tree = Tree()
        self.anchors: dict[int, list[tuple[int, str, dict]]] = {}
        self.revoked: list[tuple[int, int, float]] = []
        self.vouchers: list[tuple[int, int]] = []
        for number, jws in enumerate(anchors, 1):
            try:
                kid, claims = keys.open(jws, "checkpoint")
                self.anchors.setdefault(claims["size"], []).append((number, kid, claims))
            except ValueError as error:
                self.report("anchor_signature", number, f"anchor {number}: {error}")

    def report(self, code: str, at: int, problem: str) -> None:
        self.problems.append({"code": code, "at": at, "problem": problem})

    def take(self, text: str) -> None:
        self.line += 1
        line = read_line(text)
        if self.line == 1:
            if line is not None and line["type"] == "trail":
                self.tenant = line["tenant"]
            else:
                self.report("format", 1, f"the first line is not that of {FORMAT}")
        elif line is None or line["type"] == "trail" or self.ended:
            self.report("line", self.line, "a line that does not belong there")
        elif line["type"] == "entry":
            self.take_entry(line)
        elif line["type"] == "checkpoint":
            self.take_checkpoint(line["jws"])
        else:
            self.ended = True
            if (line["entries"], line["checkpoints"]) != (self.entries, self.checkpoints):
                self.report("end", self.last[0], "the counts at the end differ from what there is")

    def take_entry(self, line: dict) -> None:
        self.entries += 1
        seq, entry = line["seq"], line["entry"]
        leaf = leaf_hash(entry)
        computed = "sha256:" + leaf.hex()
        if line["hash"] != computed:
            self.report("entry_hash", seq, "the text is not what the hash is of")
        body = read_entry(entry)
        if body is None:
            self.report("entry_shape", seq, "this is no entry")
            self.comparable = False
            self.last = (seq, computed)
            return
        if self.tenant is None:
            self.tenant = body["tenant"]
        if body["tenant"] != self.tenant:
            self.report("entry_tenant", seq, "the entry is of another tenant")
        if body["seq"] != seq:
            self.report("entry_seq", seq, f"the entry says that it is {body['seq']}")
        expected = self.last[0] + 1
        if body["seq"] < expected:
            self.report("order", body["seq"], "repeated or out of order")
            return
        if body["seq"] > expected:
            self.comparable = False
            self.report("missing", expected, f"entries {expected} to {body['seq'] - 1} are missing")
        elif body["prev"] != self.last[1]:
            self.report("entry_link", seq, "the entry does not name the one before it")
        self.last = (body["seq"], computed)
        self.tree.append(leaf)
        self.take_evidence(body, line.get("evidence"))
        for number, kid, claims in self.anchors.get(self.last[0], []) if self.comparable else []:
            if claims["tenant"] == self.tenant and self.fits(claims):
                self.anchored += 1
                self.vouchers.append((claims["size"], claims["iat"]))
            elif claims["tenant"] == self.tenant:
                self.report("fork", claims["size"], f"anchor {number} was made over other entries")

    def take_evidence(self, body: dict, evidence: str | None) -> None:
        seq = body["seq"]
        if evidence is None:
            self.withheld += 1
        elif digest(evidence) != body["digest"]:
            self.report("evidence", seq, "the evidence is not what the digest is of")
        elif body["kind"] == "receipt":
            self.take_receipt(body, evidence)
        number = body.get("receipt")
        if number is not None:
            if number != self.receipt[0] + 1:
                self.report("receipt_missing", seq, f"receipt {self.receipt[0] + 1} has no entry before this")
            self.receipt = (number, body["digest"])

    def take_receipt(self, body: dict, jws: str) -> None:
        seq, subject = body["seq"], body["subject"]
        try:
            kid, claims = self.keys.open(jws, "receipt")
        except ValueError as error:
            self.report("receipt_signature", seq, str(error))
            return
        action = claims["actionId"]
        of_it = subject == action or subject.endswith("/" + action)
        if claims["tenant"] != body["tenant"] or claims["seq"] != body.get("receipt") or not of_it:
            self.report("receipt_place", seq, "the receipt is of another tenant, action or number")
        elif claims["seq"] == self.receipt[0] + 1 and claims["prev"] != self.receipt[1]:
            self.report("receipt_link", seq, "the receipt does not name the one before it")
        self.judge(kid, claims["iat"], seq)

    def take_checkpoint(self, jws: str) -> None:
        self.checkpoints += 1
        seq = self.last[0]
        try:
            kid, claims = self.keys.open(jws, "checkpoint")
        except ValueError as error:
            self.report("checkpoint_signature", seq, str(error))
            return
        size = claims["size"]
        if claims["tenant"] != self.tenant:
            return self.report("checkpoint_tenant", size, "the checkpoint is of another tenant")
        if size <= self.checkpoint[0] or size < seq:
            return self.report("checkpoint_order", size, "the checkpoint is repeated or older than what is before it")
        if claims["prev"] != self.checkpoint[1]:
            self.report("checkpoint_link", size, "the checkpoint does not name the one before it")
        before = self.checkpoint[0]
        self.checkpoint = (size, digest(jws))
        self.judge(kid, claims["iat"], size)
        if size > seq:
            self.report("truncated", size, f"the checkpoint covers {size} entries, there are {seq}")
        elif self.comparable and self.fits(claims):
            self.covered = size
            if "revokedAt" not in self.keys.periods[kid]:
                self.vouchers.append((size, claims["iat"]))
        elif self.comparable:
            self.comparable = False
            self.report("root", size, f"entries {before + 1} to {size} are not all those that were signed")

    def fits(self, claims: dict) -> bool:
        return claims["root"] == "sha256:" + self.tree.root().hex() and claims["head"] == self.last[1]

    def judge(self, kid: str, iat: int, at: int) -> None:
        period = self.keys.periods[kid]
        if ("notBefore" in period and iat < instant(period["notBefore"])) or ("notAfter" in period and iat > instant(period["notAfter"])):
            self.report("key_period", at, f"the key {kid} was not good then")
        elif "revokedAt" in period:
            self.revoked.append((at, at, instant(period["revokedAt"])))

    def finish(self) -> dict:
        if not self.ended:
            self.report("end", self.last[0], "the file ends without its end")
        for size, anchors in self.anchors.items():
            for number, _, claims in anchors:
                if claims["tenant"] != self.tenant:
                    self.report("anchor_tenant", number, "the anchor is of another tenant")
            if size > self.last[0]:
                self.report("truncated", size, f"an anchored checkpoint covers {size} entries, there are {self.last[0]}")
        for position, at, since in self.revoked:
            if not any(size >= position and iat < since for size, iat in self.vouchers):
                self.report("key_revoked", at, "signed with a revoked key, and nothing shows that it was before")
        counts = {name: getattr(self, name) for name in ("entries", "checkpoints", "covered", "withheld")}
        return {"ok": not self.problems, "tenant": self.tenant, **counts, "anchors": self.anchored, "problems": self.problems}


def read_line(text: str) -> dict | None:
    try:
        line = json.loads(text)
        kind, members = line["type"], set(line)
        if kind == "entry":
            texts = all(isinstance(line[name], str) for name in members - {"type", "seq"})
            return line if members - {"evidence"} == ENTRY_MEMBERS and texts and is_count(line["seq"], 1) else None
        if kind == "end" and not (is_count(line["entries"], 0) and is_count(line["checkpoints"], 0)):
            return None
        return line if members == MEMBERS[kind] and line.get("format", FORMAT) == FORMAT else None
    except (ValueError, KeyError, TypeError):
        return None


def read_entry(text: str) -> dict | None:
    try:
        body = json.loads(text)
        texts = all(isinstance(body[name], str) for name in ("tenant", "kind", "at", "subject", "digest"))
        links = body["prev"] is None or DIGEST.match(body["prev"])
        right = texts and links and DIGEST.match(body["digest"]) and body["v"] == 1 and is_count(body["seq"], 1)
        return body if right and ("receipt" not in body or is_count(body["receipt"], 1)) else None
    except (ValueError, KeyError, TypeError):
        return None


def fold(node: bytes, index: int, size: int, proof: list[bytes], older: bytes | None = None) -> tuple[bytes, bytes | None] | None:
    """Follows a path (RFC 9162, 2.1.3.2 and 2.1.4.2): the root that it leads to, and that of the older tree where there is one."""
    last = size - 1
    for sibling in proof:
        if last == 0:
            return None
        if index % 2 == 1 or index == last:
            node, older = node_hash(sibling, node), None if older is None else node_hash(sibling, older)
            while index % 2 == 0 and index != 0:
                index, last = index // 2, last // 2
        else:
            node = node_hash(node, sibling)
        index, last = index // 2, last // 2
    return (node, older) if last == 0 else None


def verify_proof(given: dict, keys: Keys) -> dict:
    """Raises ValueError where the proof does not lead from what it proves to a signed root."""
    proof = [bytes.fromhex(node) for node in given["proof"]]
    if given["type"] == "inclusion":
        claims, body = keys.open(given["checkpoint"], "checkpoint")[1], read_entry(given["entry"])
        if body is None or body["tenant"] != claims["tenant"] or not 1 <= body["seq"] <= claims["size"]:
            raise ValueError("the entry is none of this trail")
        found = fold(leaf_hash(given["entry"]), body["seq"] - 1, claims["size"], proof)
        if found is None or "sha256:" + found[0].hex() != claims["root"]:
            raise ValueError("the proof does not lead from the entry to the root")
        return {"ok": True, "type": "inclusion", "tenant": claims["tenant"], "seq": body["seq"], "size": claims["size"]}
    first, second = (keys.open(given[name], "checkpoint")[1] for name in ("first", "second"))
    old, new = (bytes.fromhex(claims["root"][7:]) for claims in (first, second))
    sizes = (first["size"], second["size"])
    path = [old, *proof] if sizes[0] & (sizes[0] - 1) == 0 else proof
    index, size = sizes[0] - 1, sizes[1]
    while index % 2 == 1:
        index, size = index // 2, (size - 1) // 2 + 1
    same = sizes[0] == sizes[1] and old == new and not proof
    found = fold(path[0], index, size, path[1:], path[0]) if path and sizes[0] < sizes[1] else None
    if first["tenant"] != second["tenant"] or not (same or found == (new, old)):
        raise ValueError("the first trail is not shown to be the beginning of the second")
    return {"ok": True, "type": "consistency", "tenant": first["tenant"], "from": sizes[0], "to": sizes[1]}


def anchors_in(files: list[str]) -> list[str]:
    found = []
    for name in files:
        with open(name, encoding="utf-8") as lines:
            for line in lines:
                try:
                    found.append(str(json.loads(line)["jws"]))
                except (ValueError, KeyError, TypeError):
                    found.append(line)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Verifies an exported audit trail, or a proof from one.")
    parser.add_argument("file")
    parser.add_argument("--keys", required=True, help="public keys, as `countersign keys public` prints them")
    parser.add_argument("--anchors", nargs="*", default=[], help="checkpoints that were kept elsewhere")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args()
    with open(options.keys, encoding="utf-8") as file:
        keys = Keys(file.read())
    with open(options.file, encoding="utf-8", newline="\n") as file:
        text = file.read()
    try:
        whole = json.loads(text)
    except ValueError:
        whole = {}
    if whole.get("type") in ("inclusion", "consistency"):
        try:
            report = verify_proof(whole, keys)
        except (ValueError, KeyError, TypeError) as error:
            report = {"ok": False, "problems": [{"code": "proof", "at": 0, "problem": str(error)}]}
    else:
        verification = Verification(keys, anchors_in(options.anchors))
        for line in text.removesuffix("\n").split("\n") if text else []:
            verification.take(line)
        report = verification.finish()
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print("verified:" if report["ok"] else "NOT verified:", {name: value for name, value in report.items() if name != "problems"})
        for problem in report.get("problems", []):
            print(f"  {problem['code']} #{problem['at']}  {problem['problem']}")
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
