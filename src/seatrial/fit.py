"""Whether another version can answer what clients send to this one: asked before traffic goes back to it."""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.manifest import Input, Manifest

WIDER = {("integer", "number")}
"""What clients send as the first is also read as the second."""


def misfits(now: Manifest, then: Manifest) -> Iterator[str]:
    """What clients of `now` send or expect that `then` does not take or give, one sentence each.

    Columns that `then` does not read are no misfit: a server leaves them out. Nor is an unseen category: it is answered.
    """
    sent = {column.name: column for column in now.inputs}
    for column in then.inputs:
        known = sent.get(column.name)
        if known is None:
            yield f"it needs column {column.name!r}, which clients do not send"
        else:
            yield from _differs(known, column)
    if (now.task, now.target.classes) != (then.task, then.target.classes):
        yield f"it answers with {_answers(then)}, clients expect {_answers(now)}"


def _differs(known: Input, column: Input) -> Iterator[str]:
    if known.type != column.type and (known.type, column.type) not in WIDER:
        yield f"column {column.name!r} is {column.type} for it, clients send {known.type}"
    if known.nullable and not column.nullable:
        yield f"column {column.name!r} may not be empty for it, clients may send nothing"


def _answers(manifest: Manifest) -> str:
    return ", ".join(map(repr, manifest.target.classes)) or "a number"
