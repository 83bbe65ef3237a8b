"""The one error class of the client: what the gateway refuses a request with, and what keeps a request from being answered."""

from __future__ import annotations

CLIENT_CODES = {
    "GATEWAY_UNAVAILABLE": "The gateway cannot be reached.",
    "UNEXPECTED_ANSWER": "What answered is no gateway, or one of another version.",
}
"""What a gateway never says, because it was not reached or did not answer itself. Its own codes are in docs/errors.md."""


class CountersignError(Exception):
    """Any error that the client raises on purpose. A refusal of an action is none: it is an outcome (``denied``)."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        field: str | None = None,
        expected: str | None = None,
        fix: str | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        status: int | None = None,
        instance: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        """Stable: one of docs/errors.md, or of ``CLIENT_CODES``."""
        self.message = message
        self.field = field
        """Where it is wrong, as a path from the root: ``proposal.input.where``."""
        self.expected = expected
        """What would have been right there."""
        self.fix = fix
        """What to do now."""
        self.retryable = retryable
        """Whether the same call, with the same ``action_id``, may succeed later."""
        self.retry_after = retry_after
        """When trying again is of use. Seconds from now."""
        self.status = status
        """Of the HTTP answer; None where there was none."""
        self.instance = instance
        """Names the request in the gateway's log."""
