"""Act through Countersign: policy decides, people countersign, the outcome is verified."""

from ._settings import ClientOptions
from .client import AsyncCountersign, AsyncPendingAction, Countersign, PendingAction
from .errors import CLIENT_CODES, CountersignError
from .for_model import ToolAnswer, for_model
from .guard import OnPending, aguard, guard
from .models import Action, ActionPage, Expect, Me, NamedExpect, Outcome, PendingView, Proposal, ReceiptRef, Source
from .types import ListFilter, ProposalFields

__all__ = [
    "CLIENT_CODES",
    "Action",
    "ActionPage",
    "AsyncCountersign",
    "AsyncPendingAction",
    "ClientOptions",
    "Countersign",
    "CountersignError",
    "Expect",
    "ListFilter",
    "Me",
    "NamedExpect",
    "OnPending",
    "Outcome",
    "PendingAction",
    "PendingView",
    "Proposal",
    "ProposalFields",
    "ReceiptRef",
    "Source",
    "ToolAnswer",
    "aguard",
    "for_model",
    "guard",
]
