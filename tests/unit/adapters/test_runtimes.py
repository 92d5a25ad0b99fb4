"""Runtimes: made once from what is installed, recorded for each version, rebuilt where damaged, removed where nothing needs them."""

import json
import subprocess

import pytest

from seatrial.adapters import runtimes
from seatrial.adapters.runtimes import Runtimes, closure_of, remove_tree
from seatrial.errors import EndpointError

A, B = "sha256:a", "sha256:b"


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A package of its own as Seatrial, a few small distributions, and nothing to try."""
    folder = tmp_path / "source/seatrial"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("name = 'first'\n")
    monkeypatch.setattr(runtimes, "SEATRIAL", folder)
    monkeypatch.setattr(runtimes, "ROOTS", ("msgspec", "uvicorn"))
    monkeypatch.setattr(runtimes, "TRIED", "msgspec, uvicorn, seatrial")
    return folder


@pytest.fixture
def made(tmp_path, sources):
    said = []
    found = Runtimes(tmp_path / "runtimes", say=said.append)
    found.said = said
    yield found
    for folder in (tmp_path / "runtimes").iterdir():
        remove_tree(folder)


def folders(made):
    return {path.name for path in made._folder.iterdir() if path.is_dir()}


def ask(runtime, code):
    return subprocess.run([runtime.python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_it_holds_what_serving_needs_and_what_that_requires_and_nothing_else(made):
    runtime = made.present()
    names = {path.name for path in runtime.site.iterdir() if path.is_dir() and not path.name.endswith("-info")}
    assert {"msgspec", "uvicorn", "click", "h11", "seatrial"} <= names
    assert not {"pip", "pytest", "polars"} & names
    assert ask(runtime, "import seatrial, uvicorn; print(seatrial.name)") == "first"


def test_it_is_read_only_and_complete_or_not_there(made):
    runtime = made.present()
    modes = [path.stat().st_mode & 0o222 for path in (runtime.folder, runtime.site, runtime.seatrial, runtime.seatrial / "__init__.py")]
    assert modes == [0, 0, 0, 0]
    assert folders(made) == {runtime.digest}


def test_nothing_is_made_twice(made):
    first = made.present()
    inode = first.folder.stat().st_ino
    assert made.present() == first
    assert Runtimes(made._folder, say=made.said.append).present() == first
    assert (first.folder.stat().st_ino, made.said) == (inode, [])


def test_a_version_keeps_the_runtime_that_it_was_first_started_with(made, sources):
    first = made.of(3, A)
    (sources / "__init__.py").write_text("name = 'second'\n")
    assert made.of(3, A) == first
    second = made.of(4, B)
    assert second != first
    assert [ask(one, "import seatrial; print(seatrial.name)") for one in (first, second)] == ["first", "second"]


def test_another_bundle_under_the_same_number_gets_the_present_runtime(made, sources):
    first = made.of(3, A)
    (sources / "__init__.py").write_text("name = 'second'\n")
    assert made.of(3, B) != first


@pytest.mark.parametrize("harm", ["removed", "changed", "gone"])
def test_a_damaged_runtime_is_rebuilt_with_a_sentence(made, harm):
    runtime = made.of(3, A)
    victim = runtime.site / "uvicorn/main.py"
    if harm == "gone":
        remove_tree(runtime.folder)
    else:
        runtime.folder.chmod(0o755)
        victim.parent.chmod(0o755)
        data = victim.read_bytes()
        victim.unlink()
        if harm == "changed":
            victim.write_bytes(data + b"#")
    assert runtime.problem() is not None
    assert made.of(3, A) == runtime
    assert runtime.problem() is None
    assert len(made.said) == 1
    assert "built again" in made.said[0]
    assert ask(runtime, "import uvicorn.main, seatrial; print(seatrial.name)") == "first"


def test_a_lost_runtime_that_cannot_be_made_again_is_replaced_by_the_present_one_and_said(made, sources):
    first = made.of(3, A)
    (sources / "__init__.py").write_text("name = 'second'\n")
    remove_tree(first.folder)
    second = made.of(3, A)
    assert second != first
    assert "of version 3 cannot be used (it is not there)" in made.said[0]
    assert made.of(3, A) == second


def test_what_nothing_needs_is_removed_and_what_is_named_stays(made, sources):
    kept = []
    for number in range(4):
        (sources / "__init__.py").write_text(f"name = '{number}'\n")
        kept.append(made.of(number, A).digest)
    made.keep_only({1}, [f"command = /somewhere/{kept[2]}/bin/python"])
    assert folders(made) == {kept[1], kept[2], kept[3]}, "a live version's, a program's, and the present one"
    assert set(json.loads((made._folder / "versions.json").read_bytes())) == {"1"}


def test_what_an_interrupted_build_left_is_removed(made):
    made.present()
    (made._folder / ".building-x").mkdir()
    made.keep_only(set(), [])
    assert len(folders(made)) == 1


def test_a_runtime_that_does_not_import_is_not_kept(made, monkeypatch):
    monkeypatch.setattr(runtimes, "TRIED", "polars")
    with pytest.raises(EndpointError, match="No module named 'polars'"):
        made.present()
    assert folders(made) == set()


def test_a_distribution_that_is_not_installed_is_named():
    with pytest.raises(EndpointError, match=r"needs not-installed-at-all") as caught:
        closure_of(("msgspec", "not-installed-at-all"))
    assert "seatrial[serve,endpoint]" in str(caught.value)


def test_it_works_where_files_cannot_be_linked(made, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(runtimes.os, "link", refuse)
    assert ask(made.present(), "import uvicorn, seatrial; print(seatrial.name)") == "first"
