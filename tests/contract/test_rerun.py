"""What a repeated gate meets: the champion and the anchor of then, in a registry of its own, and the looks before it."""

from pathlib import Path

import pytest

from seatrial.adapters import registry, tracking
from seatrial.errors import RegistryError
from seatrial.looks import look_number, read_looks
from seatrial.project import Project
from seatrial.rerun import _seed
from seatrial.store import store_bundle
from seatrial.verdict import Check, Outcome, Verdict
from tests.bundles import make_bundle

pytestmark = pytest.mark.slow
PARAMS = Path(__file__).parents[2] / "params.yaml"


def project_at(folder, with_tables):
    folder.mkdir()
    (folder / "params.yaml").write_text(PARAMS.read_text())
    with_tables(folder)
    return Project.find(folder, env={})


def judged(champion, anchor, look=3):
    checks = (Check(name="test.looks", outcome=Outcome.PASS, message="the third", observed=look, advisory=True),)
    return Verdict(kind="gate", subject={"champion": champion, "anchor": anchor, "test_data": "md5:1"}, checks=checks)


def test_champion_and_anchor_come_from_the_store_and_the_registry(tmp_path, with_tables):
    project, clone = (project_at(tmp_path / name, with_tables) for name in ("project", "clone"))
    champion, anchor = (make_bundle(tmp_path / f"bundle-{bias}", bias=bias) for bias in (0.1, 0.2))
    store_bundle(champion, project.home / "store")
    run_id, _ = tracking.log_run(project, anchor, {})
    registry.register_version(project, anchor, run_id=run_id, gate="sha256:1", verdict="{}", tags={})

    _seed(project, clone, judged(champion.digest, anchor.digest))
    assert registry.read_alias(clone, "champion").digest == champion.digest
    assert registry.read_alias(clone, "anchor").digest == anchor.digest
    assert registry.read_alias(clone, "challenger") is None
    assert look_number(read_looks(clone.home), (), bundle="sha256:new", test_data="md5:1") == 3
    assert registry.read_alias(project, "champion") is None


def test_a_champion_whose_bytes_are_nowhere_is_named(tmp_path, with_tables):
    project, clone = (project_at(tmp_path / name, with_tables) for name in ("project", "clone"))
    with pytest.raises(RegistryError, match="neither in the store nor in the registry"):
        _seed(project, clone, judged(f"sha256:{0:064}", None))
    assert read_looks(clone.home) == ()


def test_a_first_release_needs_no_registry(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    project = Project.find(tmp_path, env={})
    _seed(project, project, judged(None, None, look=1))
    assert not (tmp_path / "mlflow.db").exists()
    assert read_looks(project.home) == ()
