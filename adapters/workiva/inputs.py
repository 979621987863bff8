"""What a client can send to start a run of a Wdata connection: the fields of ``RefreshConnectionDto``, and what is
wrong with them as far as that can be told before they are sent."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from adapters.writing import Problem, ProblemCode

Json = dict[str, Any]


class WorkivaRunInput(msgspec.Struct, frozen=True, kw_only=True):
    """With what a run of a Wdata connection is started. Each side takes parameters, or those of the run before."""

    source_parameters: Annotated[
        Json | None, Meta(description="Parameters for the source, by name, such as those of a query.")
    ] = None
    destination_parameters: Annotated[Json | None, Meta(description="Parameters for the destination, by name.")] = None
    use_previous_source_parameters: Annotated[
        bool | None, Meta(description="Whether the source gets what it got in the run before. Goes without its own.")
    ] = None
    use_previous_destination_parameters: Annotated[
        bool | None,
        Meta(description="Whether the destination gets what it got in the run before. Goes without its own."),
    ] = None
    cancel_unwritables: Annotated[
        bool | None,
        Meta(
            description=(
                "Of several runs that Wdata starts by one call: whether those whose destination cannot be written are "
                "cancelled and spare the others. A run started alone has no others to spare."
            )
        ),
    ] = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"  # people put anything into parameters, credentials too


NOTHING = WorkivaRunInput()
SIDES = ("source", "destination")
NAMES: Mapping[str, str] = {
    "source_parameters": "sourceParameters",
    "destination_parameters": "destinationParameters",
    "use_previous_source_parameters": "usePreviousSourceParameters",
    "use_previous_destination_parameters": "usePreviousDestinationParameters",
}
"""What Wdata calls the fields that go with one connection."""


def problems(given: WorkivaRunInput) -> Iterator[Problem]:
    """What is wrong with an input by itself."""
    for side in SIDES:
        name = f"{side}_parameters"
        parameters: Any = getattr(given, name)
        if parameters is not None and not isinstance(parameters, dict):
            yield Problem((name,), ProblemCode.INVALID, "Parameters are a JSON object.")
        elif parameters is not None and uses_previous(given, side):
            # Wdata would take those of the run before, and say nothing of having dropped these.
            message = f"Give the {side} parameters of its own or those of the run before, not both."
            yield Problem((name,), ProblemCode.CONTRADICTION, message)


def uses_previous(given: WorkivaRunInput, *sides: str) -> bool:
    """Whether one of these sides is to get what it got in the run before."""
    return any(getattr(given, f"use_previous_{side}_parameters") for side in sides)


def written(given: WorkivaRunInput) -> Json:
    """The input in Wdata's spelling; what is absent is left out."""
    values = ((theirs, getattr(given, name)) for name, theirs in NAMES.items())
    return {name: value for name, value in values if value is not None}
