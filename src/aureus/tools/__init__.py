"""What tasks can call. Tools know neither runs nor stores."""

from __future__ import annotations

from aureus.tools.approval import ApprovalInputs, WaitForApproval
from aureus.tools.contract import Tool, ToolCall
from aureus.tools.inputs import Problem
from aureus.tools.registry import Tools
from aureus.tools.sleep import sleep_ms

__all__ = [
    "ApprovalInputs",
    "Problem",
    "Tool",
    "ToolCall",
    "Tools",
    "WaitForApproval",
    "sleep_ms",
]
