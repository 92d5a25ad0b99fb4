import datetime as dt
import re

import polars as pl
import pytest

from seatrial.errors import DataError
from seatrial.labels import Columns, add_labels, labels_folder, read_labels
from seatrial.project import Project

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
PARAMS = "model: {name: leavers}\ndata: {raw: data/raw.csv, target: left, id: client}\n"
CLASSES = ("No", "Yes")
NAMES = Columns(id="client", outcome="left", known="decided")


@pytest.fixture
def project(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS)
    return Project(root=tmp_path, env={})


def write(project, text, name="outcomes.csv"):
    path = project.root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return str(path)


def add(project, *places, columns=NAMES, now=NOON, **spelled):
    return add_labels(project, places, columns, classes=CLASSES, spelled=spelled, now=now)


def held(project):
    return {row["id"]: row["outcome"] for row in read_labels(project.home).to_dicts()}


def test_outcomes_are_kept_by_id_with_the_time_when_they_became_known(project):
    found = add(
        project, write(project, "client,left,decided\nc1,Yes,2026-11-01T12:00:00Z\nc2,No,2026-11-02T14:00:00+02:00\nc3,No,2026-11-03\n")
    )
    assert (found.outcomes, found.empty, found.repeated) == (3, 0, 0)
    rows = {row["id"]: row for row in read_labels(project.home).to_dicts()}
    assert [rows[name]["outcome"] for name in ("c1", "c2", "c3")] == ["Yes", "No", "No"]
    assert rows["c2"]["known"] == dt.datetime(2026, 11, 2, 12, tzinfo=dt.UTC)
    assert rows["c3"]["known"] == dt.datetime(2026, 11, 3, tzinfo=dt.UTC)


def test_without_such_a_column_an_outcome_is_known_when_it_is_added(project):
    add(project, write(project, "client,left\nc1,Yes\n"), columns=Columns(id="client", outcome="left"))
    assert read_labels(project.home)["known"].to_list() == [NOON]


def test_the_same_file_twice_is_once(project):
    path = write(project, "client,left,decided\nc1,Yes,2026-11-01\n")
    add(project, path)
    again = add(project, path)
    assert (again.outcomes, again.repeated) == (0, 1)
    assert read_labels(project.home).height == 1


def test_a_correction_holds_whatever_the_order_of_files(project):
    later = write(project, "client,left,decided\nc1,No,2026-11-09\n", "a.csv")
    earlier = write(project, "client,left,decided\nc1,Yes,2026-11-01\n", "b.csv")
    add(project, later)
    add(project, earlier)
    assert held(project) == {"c1": "No"}
    assert read_labels(project.home)["changed"].to_list() == [True]


def test_of_one_moment_the_outcome_added_last_holds_and_then_the_one_further_down(project):
    add(project, write(project, "client,left,decided\nc1,Yes,2026-11-01\nc1,No,2026-11-01\nc2,Yes,2026-11-01\n", "a.csv"))
    assert held(project) == {"c1": "No", "c2": "Yes"}
    add(project, write(project, "client,left,decided\nc2,No,2026-11-01\n", "b.csv"))
    assert held(project) == {"c1": "No", "c2": "No"}


def test_folders_globs_and_parquet_are_read(project):
    write(project, "client,left,decided\nc1,Yes,2026-11-01\n", "daily/a.csv")
    write(project, "client,left,decided\nc2,No,2026-11-01\n", "daily/b.csv")
    pl.DataFrame({"client": ["c3"], "left": ["Yes"], "decided": [NOON]}).write_parquet(project.root / "c.parquet")
    assert add(project, f"{project.root}/daily/*.csv").outcomes == 2
    assert add(project, str(project.root / "daily"), str(project.root / "c.parquet")).repeated == 2
    assert held(project) == {"c1": "Yes", "c2": "No", "c3": "Yes"}


def test_rows_without_an_outcome_yet_or_without_an_id_are_counted(project):
    found = add(project, write(project, "client,left,decided\nc1,,\n,Yes,2026-11-01\nc2,No,2026-11-01\n"))
    assert (found.outcomes, found.empty) == (1, 2)


def test_other_spellings_are_told(project):
    add(project, write(project, "client,left,decided\nc1,1,2026-11-01\nc2,0,2026-11-01\n"), **{"1": "Yes", "0": "No"})
    assert held(project) == {"c1": "Yes", "c2": "No"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "client,left,decided\nc1,Yes,2026-11-01\nc2,1,2026-11-01\n",
            r"outcomes\.csv, row 2, column 'left': '1' is no class .*No, Yes.*--spelled 1=Yes",
        ),
        ("client,left,decided\nc1,Yes,soon\n", r"row 1, column 'decided': 'soon' is no time"),
        ("client,left,decided\nc1,Yes,\n", r"row 1, column 'decided': an empty cell is no time"),
        ("client,gone,decided\nc1,Yes,2026-11-01\n", r"has no column 'left'.*it has client, gone|has no column 'left'"),
    ],
)
def test_what_is_no_outcome_is_refused_with_its_place_and_nothing_is_kept(project, text, words):
    good = write(project, "client,left,decided\nc9,Yes,2026-11-01\n", "good.csv")
    with pytest.raises(DataError) as caught:
        add(project, good, write(project, text))
    assert re.search(words, str(caught.value), re.DOTALL)
    assert held(project) == {}


def test_a_glob_without_a_file_is_refused(project):
    with pytest.raises(DataError, match="no file matches"):
        add(project, f"{project.root}/none-*.csv")


def test_a_torn_part_is_named(project):
    add(project, write(project, "client,left,decided\nc1,Yes,2026-11-01\n"))
    (part,) = labels_folder(project.home).glob("0*.parquet")
    part.write_bytes(part.read_bytes()[:50])
    with pytest.raises(DataError, match=rf"labels/{part.name} cannot be read"):
        read_labels(project.home)
