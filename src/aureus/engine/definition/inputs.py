"""The inputs of a workflow: their types, and what a run is started with. Pure."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from aureus import codec
from aureus.engine.definition.problems import listed, nearest, quoted
from aureus.errors import Invalid
from aureus.model.workflows import InputDefinition, Workflow


class InputType(StrEnum):
    """The types that an input can have."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ARRAY = "array"
    OBJECT = "object"


def resolve_inputs(workflow: Workflow, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a run in the order of the workflow: what is given, else the defaults.

    An optional input without a default is null. Raises ``Invalid`` with every problem at once in ``problems``: unknown
    and missing names, wrong types, values that JSON cannot hold. Nothing is converted.
    """
    declared = {definition.name: definition for definition in workflow.inputs}
    problems = [
        f"there is no input {quoted(str(name))}. {_known(str(name), declared)}"
        for name in given
        if name not in declared
    ]
    resolved: dict[str, Any] = {}
    for name, definition in declared.items():
        if name in given:
            problem = _problem(definition, given[name])
            problems += [] if problem is None else [f"the input {quoted(name)} {problem}"]
            resolved[name] = given[name]
        elif definition.required:
            kind = "" if definition.type is None else f" ({definition.type})"
            problems.append(f"the input {quoted(name)}{kind} is required. Give it a value.")
        else:
            resolved[name] = copy.deepcopy(definition.default)
    if problems:
        raise Invalid(
            f"workflow {quoted(workflow.id)} cannot start: " + "\n".join(problems),
            problems=problems,
        )
    return resolved


def type_of(value: Any) -> str | None:
    """Return the type of an input that is declared by its default alone; null tells nothing."""
    for kind in InputType:
        if value is not None and check_type(value, kind.value) is None:
            return kind.value
    return None


def check_type(value: Any, kind: str) -> str | None:
    """Return why a value is not of a type, or None when it is. An integer is also a number."""
    is_bool = isinstance(value, bool)
    is_integer = isinstance(value, int) and not is_bool
    fits = {
        "string": isinstance(value, str),
        "integer": is_integer,
        "number": is_integer or (isinstance(value, float) and math.isfinite(value)),
        "boolean": is_bool,
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
    }
    if fits[kind]:
        return None
    return f"must be of the type {kind}, not {_shown(value)}"


def _problem(definition: InputDefinition, value: Any) -> str | None:
    try:
        codec.check(value, "it")
    except Invalid as error:
        return f"cannot be stored: {error.message}"
    absent = value is None and definition.default is None and not definition.required
    if definition.type is None or absent:
        return None
    reason = check_type(value, definition.type)
    return None if reason is None else f"{reason}. Nothing is converted."


def _known(name: str, declared: Mapping[str, InputDefinition]) -> str:
    near = nearest(name, declared)
    if near is not None:
        return f"Did you mean {quoted(near)}?"
    return f"The workflow has {listed(declared)}." if declared else "The workflow takes no inputs."


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"the text {quoted(value)}"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a map"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return quoted(str(value))[1:-1]
