"""What both verifiers need: JSON as every reader has it, hashes, public keys with their times, and what entries are about.

It needs Python 3.11 and the package `cryptography`, and shares no code with Countersign.
"""
import base64
import hashlib
import json
import re
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

COMPACT = re.compile(r"(([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+))\.([A-Za-z0-9_-]{85}[AQgw])")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
TEXT = lambda value: isinstance(value, str) and re.search("[\ud800-\udfff]", value) is None
COUNT = lambda value: type(value) is int and 0 <= value < 2**53


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def digest(data: bytes) -> str:
    return "sha256:" + sha256(data).hex()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right)


def unpadded(text: str) -> bytes:
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise ValueError("not canonical base64url")
    return data


def load(text: str) -> object:
    """JSON as every reader has it: 1.0 is 1, and NaN is nothing. Raises ValueError."""
    whole = lambda number: int(float(number)) if float(number).is_integer() else float(number)
    return json.loads(text, parse_float=whole, parse_constant=int)


def read_entry(text: str) -> dict | None:
    """What an entry says; None when the text is none."""
    try:
        body = load(text)
        grants = body.get("grants", [])
        texts = isinstance(grants, list) and all(TEXT(text) for text in (body["tenant"], body["kind"], body["at"], body["subject"], *(grant["jti"] for grant in grants)))
        linked = (body["prev"] is None or DIGEST.fullmatch(body["prev"])) and DIGEST.fullmatch(body["digest"])
        numbers = (body["v"], body["seq"], body.get("receipt", 1), *(grant.get("entry", 1) for grant in grants))
        counted = all(COUNT(number) and number > 0 for number in numbers) and (body["kind"] != "grant_used" or len(grants) == 1)
        return body if texts and linked and counted and body["v"] == 1 else None
    except UNREADABLE:
        return None


class Keys:
    """Public keys of receipts by RFC 7638 thumbprint, each with the times between which it was good."""

    def __init__(self, text: str) -> None:
        self.keys: dict[str, Ed25519PublicKey] = {}
        self.periods: dict[str, dict[str, float]] = {}
        for jwk in load(text)["receipt"]:
            if "d" in jwk or jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
                raise ValueError("a key is no public Ed25519 key")
            named = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": jwk["x"]}, separators=(",", ":"))
            kid = base64.urlsafe_b64encode(sha256(named.encode())).rstrip(b"=").decode()
            self.keys[kid] = Ed25519PublicKey.from_public_bytes(unpadded(jwk["x"]))
            times = [name for name in ("notBefore", "notAfter", "revokedAt") if name in jwk]
            self.periods[kid] = {name: datetime.fromisoformat(jwk[name]).timestamp() for name in times}

    def open(self, token: str, kind: str) -> tuple[str, dict]:
        """The key id and the claims of a token that verifies. Raises ValueError."""
        if (match := COMPACT.fullmatch(token)) is None:
            raise ValueError("no compact JWS with an Ed25519 signature")
        signed, head, payload, signature = match.groups()
        header = load(unpadded(head).decode())
        if set(header) != {"alg", "typ", "kid"} or (header["alg"], header["typ"]) != ("EdDSA", f"countersign-{kind}+jwt"):
            raise ValueError(f"not the header of a {kind}")
        if header["kid"] not in self.keys:
            raise ValueError("signed by a key that is not known")
        try:
            self.keys[header["kid"]].verify(unpadded(signature), signed.encode())
        except InvalidSignature:
            raise ValueError("the signature does not verify") from None
        return header["kid"], load(unpadded(payload).decode())


class Times:
    """Signatures against the times of their keys, as what was signed says them. Whoever stole a key can write any: see `finish`."""

    def __init__(self, keys: Keys, report) -> None:
        self.periods, self.report, self.revoked, self.vouchers = keys.periods, report, [], []

    def good(self, kid: str, iat: int) -> bool:
        return self.periods[kid].get("notBefore", iat) <= iat <= self.periods[kid].get("notAfter", iat)

    def judge(self, kid: str, iat: int, at: int) -> None:
        if not self.good(kid, iat):
            self.report("key_period", at, f"the key {kid} was not good then")
        elif "revokedAt" in self.periods[kid]:
            self.revoked.append((at, self.periods[kid]["revokedAt"]))

    def vouch(self, kid: str, size: int, iat: int, anchored: bool) -> None:
        if self.good(kid, iat) and (anchored or "revokedAt" not in self.periods[kid]):
            self.vouchers.append((size, iat))

    def finish(self) -> None:
        covered = {since: max((size for size, iat in self.vouchers if iat < since), default=0) for _, since in self.revoked}
        for at, since in self.revoked:
            self.report("key_revoked", at, "signed with a revoked key, and nothing shows that it was before", covered[since] < at)


def open_evidence(keys: Keys, body: dict, evidence: str) -> tuple[str | None, str, dict]:
    """What is wrong with what an entry is about, or the key id and the claims of a receipt."""
    if digest(evidence.encode()) != body["digest"]:
        return "evidence", "the evidence is not what the digest is of", {}
    if body["kind"] != "receipt":
        return None, "", {}
    try:
        kid, claims = keys.open(evidence, "receipt")
        tenant, about = claims["tenant"], claims["actionId"]
        # A refusal before anybody was known is in a chain of its own.
        named = body["subject"] == about or (tenant == "_unauthenticated" and body["subject"].endswith("/" + about))
        if named and (tenant, claims["seq"]) == (body["tenant"], body.get("receipt")):
            return None, kid, claims
        return "receipt_place", "the receipt is of another tenant, action or number", {}
    except UNREADABLE as error:
        return "receipt_signature", str(error), {}


def text_of(name: str) -> str:
    with open(name, encoding="utf-8") as file:
        return file.read()


def lines_of(name: str):
    with open(name, "rb") as file:
        for line in file:
            yield line.removesuffix(b"\n").decode("utf-8", "surrogateescape")


def read_anchor(line: str) -> dict:
    """A line that is none is an anchor that does not verify."""
    try:
        return {"jws": line} | load(line)
    except UNREADABLE:
        return {"jws": line}
