"""A verdict as JUnit XML, which CI systems show beside the tests.

Each check is a test case of the suite that bears its family's name. A failing check is a failure; an error and an inconclusive
one are errors, because CI systems count a skipped test as a good one, and no answer is none; what is only advisory or waived is
skipped, with its message. There is no clock in it: one verdict, one sequence of bytes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from xml.etree import ElementTree

from seatrial.verdict import Check, Outcome, Verdict

ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(verdict: Verdict) -> bytes:
    """The verdict's checks as UTF-8 XML, in order of name."""
    root = ElementTree.Element("testsuites", name=f"seatrial {verdict.kind}", time="0")
    checks = sorted(verdict.checks, key=lambda check: (check.name, check.column or "", check.message))
    for family, group in groupby(checks, key=lambda check: check.name.split(".")[0]):
        _suite(root, f"{verdict.kind}.{family}", list(group))
    _count(root, verdict.checks)
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _suite(root: ElementTree.Element, name: str, checks: list[Check]) -> None:
    suite = ElementTree.SubElement(root, "testsuite", name=name, time="0")
    _count(suite, checks)
    for check, title in zip(checks, _titles(checks), strict=True):
        case = ElementTree.SubElement(suite, "testcase", classname=name, name=title, time="0")
        kind = _kind(check)
        if kind is not None:
            found = ElementTree.SubElement(case, kind, type=check.name, message=legal(check.message))
            found.text = legal(f"{check.message}\nobserved {check.observed}, limit {check.limit}")


def _titles(checks: list[Check]) -> Iterator[str]:
    """A name for each check that no other of its suite has: readers put test cases of one name together."""
    seen: Counter[str] = Counter()
    for check in checks:
        title = legal(f"{check.name} [{check.column}]" if check.column else check.name)
        seen[title] += 1
        yield title if seen[title] == 1 else f"{title} ({seen[title]})"


def _count(element: ElementTree.Element, checks: tuple[Check, ...] | list[Check]) -> None:
    kinds = [_kind(check) for check in checks]
    names = {"tests": len(kinds), "failures": kinds.count("failure"), "errors": kinds.count("error")}
    for name, count in names.items():
        element.set(name, str(count))
    if element.tag == "testsuite":
        element.set("skipped", str(kinds.count("skipped")))


def _kind(check: Check) -> str | None:
    if check.outcome is Outcome.PASS:
        return None
    if check.advisory:
        return "skipped"
    return "failure" if check.outcome is Outcome.FAIL else "error"


def legal(text: str) -> str:
    """Text without the characters that no XML may hold."""
    return ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)
