"""Where the gateway is and who speaks to it: given, or from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import httpx

from .errors import CountersignError

Token: TypeAlias = "str | Callable[[], str]"
AsyncToken: TypeAlias = "str | Callable[[], str | Awaitable[str]]"
Headers: TypeAlias = "Callable[[], Mapping[str, str]]"

_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")
_SENDABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Settings:
    url: str
    token: AsyncToken = field(repr=False)
    headers: Headers
    retries: int
    request_timeout: float


def settings_of(
    *,
    url: str | None,
    token: AsyncToken | None,
    headers: Headers | None,
    retries: int,
    request_timeout: float,
    allow_http: bool,
) -> Settings:
    known = token if token is not None else os.environ.get("COUNTERSIGN_API_KEY")
    if not known:
        raise CountersignError(
            "CONFIG_INVALID",
            "An agent needs an API key or a token to be known by.",
            field="token",
            expected="a key of `countersign api-key create`, or a token of an issuer that the gateway knows",
            fix="Set COUNTERSIGN_API_KEY, or pass `token`.",
        )
    address = _address_of(url if url is not None else os.environ.get("COUNTERSIGN_GATEWAY_URL", ""), allow_http)
    return Settings(address, known, headers or dict, retries, request_timeout)


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
