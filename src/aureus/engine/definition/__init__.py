"""Workflow files: reading, checking, and what they mean.

Importing this is cheap: the YAML parser is loaded with the first file. Nothing here runs a workflow.
"""

from __future__ import annotations

from aureus.engine.definition.expressions import condition, references, render
from aureus.engine.definition.inputs import resolve_inputs
from aureus.engine.definition.loader import Loaded, load_file, load_text
from aureus.engine.definition.problems import Problem
from aureus.engine.definition.safety import PRESETS
from aureus.engine.definition.stored import from_dict, hash_of, to_dict

__all__ = [
    "PRESETS",
    "Loaded",
    "Problem",
    "condition",
    "from_dict",
    "hash_of",
    "load_file",
    "load_text",
    "references",
    "render",
    "resolve_inputs",
    "to_dict",
]
