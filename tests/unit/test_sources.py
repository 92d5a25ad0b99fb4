"""Parts of a table: which files they are, how they are known, and what is refused, with which words."""

import gzip
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from seatrial import sources
from seatrial.errors import DataError
from seatrial.files import md5_of
from seatrial.project import Project
from seatrial.sources import batches, columns_of, data_digest, parts_of


def project_of(folder, raw="t.csv", **data):
    options = "".join(f", {name}: {value}" for name, value in data.items())
    (folder / "params.yaml").write_text(f"model: {{name: m}}\ndata: {{raw: '{raw}', target: a{options}}}\n")
    return Project(root=folder, env={})


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows_of(project, **options):
    data = project.settings.data
    frames = [batch for part in parts_of(project) for batch in batches(part, data, **options)]
    return pl.concat(frames).rows()


def refusal(project):
    with pytest.raises(DataError) as caught:
        rows_of(project)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,x\n2,y\n",
        "\ufeffa,b\n1,x\n2,y\n",
        "a,b\r\n1,x\r\n2,y\r\n",
        "a,b\n1,x\n2,y",
        'a,b\n1,"x"\n"2",y\n',
        "a,b\n1,x\n\n2,y\n",
    ],
    ids=["plain", "byte order mark", "windows line ends", "no last line end", "quotes", "an empty line"],
)
def test_one_table_in_many_spellings(tmp_path, text):
    write(tmp_path / "t.csv", text)
    assert rows_of(project_of(tmp_path)) == [("1", "x"), ("2", "y")]


def test_a_single_quote_inside_a_cell_is_part_of_it(tmp_path):
    write(tmp_path / "t.csv", 'a,b\n5" pipe,x\n')
    assert rows_of(project_of(tmp_path)) == [('5" pipe', "x")]


def test_line_ends_and_quotes_inside_quotes_are_part_of_the_cell(tmp_path):
    write(tmp_path / "t.csv", 'a,b\n"one\ntwo","say ""x"""\n')
    assert rows_of(project_of(tmp_path)) == [("one\ntwo", 'say "x"')]


@pytest.mark.parametrize(("suffix", "codec"), [(".gz", "gzip"), (".zst", "zstd")])
def test_packed_csv_is_read_like_plain_csv(tmp_path, suffix, codec):
    with pa.CompressedOutputStream(str(tmp_path / f"t.csv{suffix}"), codec) as stream:
        stream.write(b"a,b\n1,x\n")
    assert rows_of(project_of(tmp_path, f"t.csv{suffix}")) == [("1", "x")]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252", "utf-8"])
def test_the_encoding_is_the_one_that_params_say(tmp_path, encoding):
    write(tmp_path / "t.csv", "a,b\nMünchen,é\n".encode(encoding))
    assert rows_of(project_of(tmp_path, encoding=encoding)) == [("München", "é")]


def test_a_large_file_comes_in_batches_of_the_asked_size(tmp_path):
    write(tmp_path / "t.csv", "a,b\n" + "".join(f"{at},x\n" for at in range(1000)))
    project = project_of(tmp_path)
    (part,) = parts_of(project)
    sizes = [batch.height for batch in batches(part, project.settings.data, rows=300)]
    assert sizes == [300, 300, 300, 100]


def test_parquet_keeps_its_types(tmp_path):
    pl.DataFrame({"a": [1, 2], "b": ["x", None]}).write_parquet(tmp_path / "t.parquet")
    project = project_of(tmp_path, "t.parquet")
    (part,) = parts_of(project)
    assert columns_of(part, project.settings.data) == {"a": "Int64", "b": "String"}
    assert rows_of(project) == [(1, "x"), (2, None)]


def test_a_folder_is_its_tables_in_order_of_name(tmp_path):
    for name in ("t/b/2.csv", "t/1.csv", "t/a.csv"):
        write(tmp_path / name, f"a\n{name}\n")
    write(tmp_path / "t/readme.md", "no part")
    parts = parts_of(project_of(tmp_path, "t"))
    assert [part.name for part in parts] == ["1.csv", "a.csv", "b/2.csv"]


def test_a_pattern_chooses_parts(tmp_path):
    for name in ("t/1/x.csv", "t/2/x.csv", "t/2/y.csv"):
        write(tmp_path / name, "a\n1\n")
    assert [part.location[-7:] for part in parts_of(project_of(tmp_path, "t", pattern="'*/x.csv'"))] == ["1/x.csv", "2/x.csv"]


def test_folders_give_partition_columns(tmp_path):
    write(tmp_path / "t/year=2026/city=K%C3%B6ln/x.csv", "a\n1\n")
    write(tmp_path / "t/year=2027/city=__HIVE_DEFAULT_PARTITION__/x.csv", "a\n2\n")
    project = project_of(tmp_path, "t", partitions="[year, city]")
    assert rows_of(project) == [("1", "2026", "Köln"), ("2", "2027", None)]
    assert list(columns_of(parts_of(project)[0], project.settings.data)) == ["a", "year", "city"]


def test_a_part_outside_the_partitions_is_refused(tmp_path):
    write(tmp_path / "t/x.csv", "a\n1\n")
    assert "x.csv: no folder year=…" in refusal(project_of(tmp_path, "t", partitions="[year]"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "t.csv is empty"),
        ("a,b\n", "a header and no rows"),
        ("\n\n", "no header"),
        ("a,b,a\n1,2,3\n", "t.csv:1: the column 'a' stands there twice"),
        ("a,b\n1,2\n1,2,3\n", "t.csv:3: this row has 3 fields, the header has 2"),
        ("a,b\n1,2\n1\n", "t.csv:3: this row has 1 field, the header has 2"),
        ('a,b\n"1\n\n",2\n1\n', "t.csv:5: this row has 1 field"),
        (b"a,b\n1,2\n1,\xff\xfe\n", "t.csv:3: not utf-8: byte 0xff"),
        (b"a,b\n1,2\n1,\xc3", "t.csv:3: not utf-8"),
        (b"a,b\n1,2\n1,\0\n", "t.csv:3: a NUL byte"),
        ('a,b\n1,2\n1,"x\n2,3\n', "t.csv:3: not CSV"),
        (b"\x1f\x8b\x08\x00rest", "t.csv:1: not utf-8"),
        (b"a\0,b\n1,2\n", "t.csv:1: a NUL byte"),
    ],
)
def test_a_broken_csv_is_refused_with_its_line(tmp_path, content, words):
    write(tmp_path / "t.csv", content)
    assert words in refusal(project_of(tmp_path))


@pytest.mark.parametrize(("sign", "word"), [(";", "semicolon"), ("\t", "tab"), ("|", "bar")])
def test_a_wrong_delimiter_is_named_and_not_guessed(tmp_path, sign, word):
    write(tmp_path / "t.csv", f"a{sign}b\n1{sign}2\n")
    message = refusal(project_of(tmp_path))
    assert f"separated by {word}" in message
    assert f"data.delimiter: {sign!r}" in message
    assert rows_of(project_of(tmp_path, delimiter=f'"{sign}"')) == [("1", "2")]


def test_a_cell_of_ten_megabytes_is_read(tmp_path):
    write(tmp_path / "t.csv", b"a,b\n1," + b"x" * 10_000_000 + b"\n2,y\n")
    assert [len(cell) for _, cell in rows_of(project_of(tmp_path))] == [10_000_000, 1]


def test_a_row_beyond_the_limit_is_refused(tmp_path):
    write(tmp_path / "t.csv", b"a,b\n1," + b"x" * 40_000_000 + b"\n")
    assert "one row is longer than 16 MiB" in refusal(project_of(tmp_path))


def test_five_thousand_columns_are_read(tmp_path):
    names = [f"c{at}" for at in range(5000)]
    write(tmp_path / "t.csv", ",".join(names) + "\n" + ",".join("1" for _ in names) + "\n")
    assert rows_of(project_of(tmp_path)) == [("1",) * 5000]


@pytest.mark.parametrize("cut", [5, 30])
def test_truncated_gzip_is_refused(tmp_path, cut):
    packed = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (at, at * 7919) for at in range(5000)))
    write(tmp_path / "t.csv.gz", packed[:-cut])
    assert "t.csv.gz cannot be unpacked to its end" in refusal(project_of(tmp_path, "t.csv.gz"))


def test_gzip_that_is_none_is_refused(tmp_path):
    write(tmp_path / "t.csv.gz", "a,b\n1,2\n")
    assert "cannot be unpacked" in refusal(project_of(tmp_path, "t.csv.gz"))


def test_truncated_and_encrypted_parquet_are_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": range(1000)}).write_parquet(path)
    whole = path.read_bytes()
    write(path, whole[:-200])
    assert "no whole Parquet file" in refusal(project_of(tmp_path, "t.parquet"))
    write(path, b"PARE" + whole[4:-4] + b"PARE")
    assert "encrypted Parquet" in refusal(project_of(tmp_path, "t.parquet"))


def test_nested_columns_are_refused(tmp_path):
    pl.DataFrame({"a": [[1, 2]]}).write_parquet(tmp_path / "t.parquet")
    assert "column 'a' holds List(Int64)" in refusal(project_of(tmp_path, "t.parquet"))


def test_what_is_not_there_is_refused_with_what_to_do(tmp_path):
    assert "there is no table at t.csv" in refusal(project_of(tmp_path))
    assert "dvc pull" in refusal(project_of(tmp_path))
    (tmp_path / "t").mkdir()
    assert "holds no table" in refusal(project_of(tmp_path, "t"))
    assert "matches data.pattern '*.tsv'" in refusal(project_of(tmp_path, "t", pattern="'*.tsv'"))
    os.mkfifo(tmp_path / "t.csv")
    assert "neither a file nor a folder" in refusal(project_of(tmp_path))


def test_a_loop_of_links_ends(tmp_path):
    write(tmp_path / "t/x.csv", "a\n1\n")
    (tmp_path / "t/self").symlink_to(tmp_path / "t")
    assert [part.name for part in parts_of(project_of(tmp_path, "t"))] == ["x.csv"]
    (tmp_path / "t.csv").symlink_to(tmp_path / "t.csv")
    assert "t.csv cannot be read" in refusal(project_of(tmp_path))


def test_a_file_without_permission_is_refused(tmp_path):
    write(tmp_path / "t.csv", "a\n1\n").chmod(0)
    project_of(tmp_path)
    for folder in (tmp_path, *tmp_path.parents[: len(tmp_path.relative_to(tempfile.gettempdir()).parts) - 1]):
        folder.chmod(0o755)
    program = (
        "import os, sys; from pathlib import Path; from seatrial import sources, csv_parts, project, errors\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: sources.parts_of(project.Project(root=Path(sys.argv[1]), env={}))\n"
        "except errors.DataError as error: print(error)"
    )
    if os.getuid():
        program = program.replace("os.setgroups([]); os.setgid(65534); os.setuid(65534)", "")
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "t.csv cannot be read (Permission denied)" in ended.stdout, ended.stderr


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, name):
    path = tmp_path / name
    frame = pl.DataFrame({"a": [str(at) for at in range(100)]})
    frame.write_csv(path) if name.endswith("csv") else frame.write_parquet(path)
    project = project_of(tmp_path, name)
    (part,) = parts_of(project)
    reading = batches(part, project.settings.data, rows=10)
    next(reading)
    write(path, path.read_bytes() + b"more")
    with pytest.raises(DataError, match="changed while it was read"):
        list(reading)


def test_a_file_that_changed_since_it_was_hashed_is_refused(tmp_path):
    path = write(tmp_path / "t.csv", "a\n1\n")
    project = project_of(tmp_path)
    (part,) = parts_of(project)
    write(path, "a\n2\n3\n")
    with pytest.raises(DataError, match="changed while it was read"):
        list(batches(part, project.settings.data))
    path.unlink()
    with pytest.raises(DataError, match="changed while it was read"):
        list(batches(part, project.settings.data))


def test_one_file_is_known_by_its_md5_and_several_by_names_and_hashes(tmp_path):
    path = write(tmp_path / "t.csv", "a\n1\n")
    assert data_digest(parts_of(project_of(tmp_path))) == md5_of(path)
    write(tmp_path / "t/1.csv", "a\n1\n")
    write(tmp_path / "t/2.csv", "a\n1\n")
    project = project_of(tmp_path, "t")
    before = data_digest(parts_of(project))
    (tmp_path / "t/2.csv").rename(tmp_path / "t/3.csv")
    assert data_digest(parts_of(project)) != before


def test_an_unchanged_file_is_hashed_once_and_a_changed_one_again(tmp_path, monkeypatch):
    path = write(tmp_path / "t.csv", "a\n1\n")
    old = time.time() - 60
    os.utime(path, (old, old))
    hashed = []
    monkeypatch.setattr(sources, "md5_of", lambda file: hashed.append(file.name) or md5_of(file))
    project = project_of(tmp_path)
    first = parts_of(project)
    assert parts_of(project) == first
    assert hashed == ["t.csv"]
    write(path, "a\n2\n")
    os.utime(path, (old, old + 1))
    assert parts_of(project)[0].digest != first[0].digest
    assert hashed == ["t.csv", "t.csv"]


def test_a_file_written_just_now_is_hashed_every_time(tmp_path, monkeypatch):
    write(tmp_path / "t.csv", "a\n1\n")
    hashed = []
    monkeypatch.setattr(sources, "md5_of", lambda file: hashed.append(file.name) or md5_of(file))
    project = project_of(tmp_path)
    parts_of(project)
    parts_of(project)
    assert len(hashed) == 2


def test_a_damaged_record_of_hashes_is_made_anew(tmp_path):
    write(tmp_path / "t.csv", "a\n1\n")
    write(tmp_path / ".seatrial/hashes.json", "{torn")
    assert len(parts_of(project_of(tmp_path))) == 1


def test_finding_parts_loads_no_data_frame_library(tmp_path):
    write(tmp_path / "t.csv", "a\n1\n")
    project_of(tmp_path)
    program = (
        "import sys; from pathlib import Path; from seatrial.project import Project; from seatrial.sources import parts_of; "
        "parts_of(Project(root=Path(sys.argv[1]), env={})); print({'polars', 'pyarrow', 'numpy'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"


def test_a_part_in_memory_needs_no_stamp(tmp_path):
    write(tmp_path / "t.csv", "a\n1\n")
    project = project_of(tmp_path)
    (part,) = parts_of(project)
    assert Path(part.location).name == part.name
    assert [batch.rows() for batch in batches(replace(part, stamp=None), project.settings.data)] == [[("1",)]]
