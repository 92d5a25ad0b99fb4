"""One mapping of params.yaml as a frozen struct that refuses keys nobody reads, and the kinds of numbers and texts that stand in it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

Share = Annotated[float, Meta(gt=0, lt=1)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(gt=0)]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Text = Annotated[str, Meta(min_length=1)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One mapping of params.yaml: frozen, and closed to keys that nobody reads.

    msgspec and not pydantic, because every command pays for these classes: they cost a tenth of the time.
    """

    def to_dict(self) -> dict[str, Any]:
        """The section as JSON values."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return values
