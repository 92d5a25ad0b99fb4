import os
import signal
import subprocess
import sys

import msgspec
import numpy as np
import onnx
import polars as pl
import psutil
import pytest
from onnx import numpy_helper

from seatrial.bundle import MODEL
from seatrial.errors import BundleError
from seatrial.onnx_checks import check_onnx
from seatrial.serving import model_check
from seatrial.serving.model_check import check_elsewhere
from seatrial.serving.runtime import Runtime, check_model
from tests.bundles import make_bundle, make_rows

ROWS = pl.DataFrame(make_rows(5))
ALONE = """
import sys
from pathlib import Path
from seatrial.bundle import load_bundle
from seatrial.serving.model_check import check_elsewhere
check_elsewhere(load_bundle(Path(sys.argv[1])))
print(*sorted({"onnx", "google.protobuf", "seatrial.serving.runtime"} & {*sys.modules}))
"""


@pytest.fixture
def bundle(tmp_path):
    made = make_bundle(tmp_path / "bundle")
    before = psutil.Process().children()
    yield made
    assert psutil.Process().children() == before


def test_a_good_model_passes_and_nothing_that_checked_it_stays_in_this_process(tmp_path, bundle):
    ended = subprocess.run([sys.executable, "-c", ALONE, str(tmp_path / "bundle")], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["seatrial.serving.runtime"]


def test_the_model_comes_over_as_the_check_gives_it(bundle):
    assert check_elsewhere(bundle) == check_model(bundle) != bundle.model


def test_a_model_larger_than_what_a_pipe_holds_comes_over_whole(bundle):
    proto = onnx.ModelProto.FromString(bundle.model)
    proto.graph.initializer.append(numpy_helper.from_array(np.arange(300_000, dtype=np.float32), "more"))
    large = msgspec.structs.replace(bundle, files={**bundle.files, MODEL: proto.SerializeToString()})
    assert len(check_elsewhere(large)) > 1_200_000
    assert Runtime(large, check=check_elsewhere).score_frame(ROWS).tobytes() == Runtime(bundle).score_frame(ROWS).tobytes()


def test_a_bad_model_is_refused_in_the_words_of_the_check(bundle):
    bad = msgspec.structs.replace(bundle, files={**bundle.files, MODEL: b"no model"})
    with pytest.raises(BundleError) as here:
        check_onnx(bad.model, bad.manifest)
    with pytest.raises(BundleError) as elsewhere:
        check_elsewhere(bad)
    assert str(elsewhere.value) == str(here.value)


def killed(bundle):
    os.kill(os.getpid(), signal.SIGKILL)


def broken(bundle):
    raise MemoryError("no room")


def hanging(bundle):
    signal.pause()


@pytest.mark.parametrize(
    ("check", "words"), [(killed, "ended with -9"), (broken, "ended with 1: MemoryError('no room')"), (hanging, "ended with -14")]
)
def test_a_check_that_does_not_end_well_lets_no_model_through(bundle, monkeypatch, check, words):
    monkeypatch.setattr(model_check, "check_model", check)
    monkeypatch.setattr(model_check, "CHECK_SECONDS", 1)
    with pytest.raises(BundleError, match="the process that checks the model") as found:
        check_elsewhere(bundle)
    assert words in found.value.message
