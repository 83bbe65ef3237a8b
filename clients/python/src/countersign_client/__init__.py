"""Act through Countersign: policy decides, people countersign, the outcome is verified."""

from ._settings import ClientOptions
from .client import AsyncBatchAnswer, AsyncCountersign, AsyncPendingAction, BatchAnswer, Countersign, PendingAction
from .errors import CLIENT_CODES, CountersignError
from .for_model import ToolAnswer, for_model
from .guard import OnPending, aguard, guard
from .models import (
    Action,
    ActionPage,
    DryRun,
    Expect,
    Me,
    NamedExpect,
    NotBegun,
    Outcome,
    PendingView,
    Proposal,
    ReceiptRef,
    Saga,
    Source,
)
from .types import ListFilter, ProposalFields

__all__ = [
    "CLIENT_CODES",
    "Action",
    "ActionPage",
    "AsyncBatchAnswer",
    "AsyncCountersign",
    "AsyncPendingAction",
    "BatchAnswer",
    "ClientOptions",
    "Countersign",
    "CountersignError",
    "DryRun",
    "Expect",
    "ListFilter",
    "Me",
    "NamedExpect",
    "NotBegun",
    "OnPending",
    "Outcome",
    "PendingAction",
    "PendingView",
    "Proposal",
    "ProposalFields",
    "ReceiptRef",
    "Saga",
    "Source",
    "ToolAnswer",
    "aguard",
    "for_model",
    "guard",
]
