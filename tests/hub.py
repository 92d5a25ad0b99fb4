"""A stand-in for GitHub's program `gh`: it writes down what it is asked, and answers what the test says."""

import json
import sys

GH = """\
#!{python}
import json, pathlib, sys
here = pathlib.Path(__file__).parent
arguments = sys.argv[1:]
with (here / "calls").open("a") as calls:
    calls.write(json.dumps({{"arguments": arguments, "input": sys.stdin.read()}}) + "\\n")
answers = json.loads((here / "answers").read_text())
print(next((answers[key] for key in answers if key in " ".join(arguments)), ""))
"""


class Hub:
    """A `gh` on the path: `answers` by a part of what it is asked."""

    def __init__(self, folder):
        self.folder, self.answers = folder, {}
        program = folder / "gh"
        program.write_text(GH.format(python=sys.executable))
        program.chmod(0o755)

    def env(self):
        """The variables of who asks: this `gh`, and no other program."""
        (self.folder / "answers").write_text(json.dumps(self.answers))
        return {"PATH": str(self.folder)}

    def calls(self):
        """What it was asked, each with its arguments and what it was given to read."""
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]

    def asked(self):
        """Method and place of each call."""
        found = []
        for call in self.calls():
            arguments = call["arguments"]
            method = arguments[arguments.index("--method") + 1] if "--method" in arguments else "GET"
            found.append((method, next(part for part in arguments[1:] if "/" in part or part == "graphql")))
        return found
