"""What must not be in the repository: a package registry's host, and a path of somebody's machine."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOSTS = (
    "pypi" + ".org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "npm" + "js.com",
    "crates" + ".io",
    "proxy.golang" + ".org",
    "conda.anaconda" + ".org",
)
PATHS = re.compile(r"(?<![\w.$}*-])/(?:work/|root/|home/[\w.-]+/|Users/[\w.-]+/)[\w.]")


def files(root):
    """What git keeps below `root`, or would keep at the next `git add`."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root, capture_output=True, text=True, check=True
    )
    return [path for name in sorted(set(done.stdout.split("\0")) - {""}) if (path := root / name).is_file()]


def places(paths):
    """Each line that names a registry or a machine's path, as `file:line`."""
    for path in paths:
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if any(host in line for host in HOSTS) or PATHS.search(line):
                yield f"{path.name}:{number}"


def test_no_file_names_a_package_registry_or_a_path_of_a_machine():
    assert list(places(files(ROOT))) == []


def test_the_fence_sees_what_it_forbids(tmp_path):
    bad = ["https://" + HOSTS[0] + "/simple", "open('/" + "root/x')", "see /" + "home/me/project", "/" + "work/main"]
    (tmp_path / "bad.txt").write_text("\n".join([*bad, "a/home/b", "homework/root", "$HOME/root/x"]))
    assert list(places([tmp_path / "bad.txt"])) == ["bad.txt:1", "bad.txt:2", "bad.txt:3", "bad.txt:4"]
