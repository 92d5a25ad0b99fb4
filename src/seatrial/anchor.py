"""The anchor: the best version so far, an alias of the registry that moves up and never down.

A challenger has to be within the margin of the champion and of the anchor. The anchor moves to a promoted version whose gate
showed it to be better; where that version is rolled back, the anchor goes back with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seatrial.failpoints import failpoint

if TYPE_CHECKING:
    from seatrial.control import Registry
    from seatrial.project import Project
    from seatrial.rollout_state import Pin

ANCHOR = "anchor"


def promotion(version: int, before: Pin | None) -> dict[str, Any]:
    """The work at the registry after a promotion; `before` is the champion that was."""
    return {ANCHOR: {"promoted": version, "before": {"version": before.version, "digest": before.digest} if before else None}}


def way_back(version: int, champion: int) -> dict[str, Any]:
    """The work at the registry after `version` was rolled back to `champion`."""
    return {ANCHOR: {"rolled_back": version, "champion": champion}}


def settle_anchor(registry: Registry, project: Project, work: Mapping[str, Any]) -> None:
    """Do such work; once it is done, doing it again changes nothing. Raises RegistryError where the registry does not answer."""
    if "promoted" in work:
        _promoted(registry, project, work["promoted"], work["before"])
    else:
        _rolled_back(registry, project, work["rolled_back"], work["champion"])


def _promoted(registry: Registry, project: Project, version: int, before: Mapping[str, Any] | None) -> None:
    """A first release is the anchor; a later one where it beats the anchor, for which the champion stands where there is none."""
    champion, holder = registry.read_alias(project, "champion"), registry.read_alias(project, ANCHOR)
    if champion is None or champion.version != version or (holder is not None and holder.version == version):
        return  # moved on meanwhile, or done
    best: Mapping[str, Any] | None = {"version": holder.version, "digest": holder.digest} if holder else before
    to = version if best is None or champion.beats == best["digest"] else int(best["version"])
    if holder is None or holder.version != to:
        failpoint("alias.move")
        registry.move_aliases(project, expected={ANCHOR: holder.version if holder else None}, to={ANCHOR: to})
        failpoint("alias.moved")


def _rolled_back(registry: Registry, project: Project, version: int, champion: int) -> None:
    """An anchor that is rolled back gives way to the one that it beat, or to the champion where that one is not known."""
    holder = registry.read_alias(project, ANCHOR)
    if holder is None or holder.version != version:
        return
    beaten = registry.find_version(project, holder.beats) if holder.beats else None
    failpoint("alias.move")
    registry.move_aliases(project, expected={ANCHOR: version}, to={ANCHOR: beaten.version if beaten else champion})
    failpoint("alias.moved")
