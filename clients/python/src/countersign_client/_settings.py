"""Where the gateway is and who speaks to it: given, or from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypedDict, Unpack

import httpx

from .errors import CountersignError

Token: TypeAlias = "str | Callable[[], str]"
AsyncToken: TypeAlias = "str | Callable[[], str | Awaitable[str]]"
Headers: TypeAlias = "Callable[[], Mapping[str, str]]"

_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")
_SENDABLE = re.compile(r"[\x21-\x7e]+")


class ClientOptions(TypedDict, total=False):
    """What both clients take."""

    url: str | None
    """The gateway's address. Default: COUNTERSIGN_GATEWAY_URL."""
    headers: Headers | None
    """More headers for every request, such as ``traceparent``. None that the client itself sets."""
    retries: int
    """How often in a row a request is sent again after a failure that may pass: no connection, 429, 502, 503, 504. Default 5."""
    request_timeout: float
    """How long a request may take beyond what it waits on purpose. Seconds, default 30."""
    allow_http: bool
    """Lets the token travel unencrypted to other hosts than this one: for networks that encrypt by themselves. Default False."""


@dataclass(frozen=True)
class Settings:
    url: str
    token: AsyncToken = field(repr=False)
    headers: Headers
    retries: int
    request_timeout: float


def settings_of(token: AsyncToken | None, **options: Unpack[ClientOptions]) -> Settings:
    known = token if token is not None else os.environ.get("COUNTERSIGN_API_KEY")
    if not known:
        raise CountersignError(
            "CONFIG_INVALID",
            "An agent needs an API key or a token to be known by.",
            field="token",
            expected="a key of `countersign api-key create`, or a token of an issuer that the gateway knows",
            fix="Set COUNTERSIGN_API_KEY, or pass `token`.",
        )
    url = options.get("url")
    address = os.environ.get("COUNTERSIGN_GATEWAY_URL", "") if url is None else url
    return Settings(
        url=_address_of(address, options.get("allow_http", False)),
        token=known,
        headers=options.get("headers") or dict,
        retries=options.get("retries", 5),
        request_timeout=options.get("request_timeout", 30),
    )


def _address_of(text: str, allow_http: bool) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    encrypted = url.scheme == "https" or (
        url.scheme == "http" and (allow_http or _LOOPBACK.fullmatch(url.host) is not None)
    )
    if not url.host or url.userinfo or not encrypted:
        raise CountersignError(
            "CONFIG_INVALID",
            "The address of the gateway cannot be used.",
            field="url",
            expected="an https address without credentials in it; http only to this host, or with `allow_http`",
            fix="Set COUNTERSIGN_GATEWAY_URL, or pass `url`.",
        )
    return str(url.copy_with(query=None, fragment=None)).rstrip("/")


def authorization_of(token: str) -> str:
    """What no header can carry is refused here: the error of whoever tried it would quote it."""
    if _SENDABLE.fullmatch(token):
        return f"Bearer {token}"
    raise CountersignError(
        "CONFIG_INVALID",
        "The API key or token cannot be sent.",
        field="token",
        expected="printable ASCII without blanks or ends of lines",
        fix="If it was read from a file, strip it.",
    )
