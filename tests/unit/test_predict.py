import threading

import polars as pl
import pytest

from seatrial.errors import DataError, UsageError
from seatrial.params import Data
from seatrial.predict import checked, in_order, predict
from seatrial.serving.runtime import Runtime
from tests.bundles import ID, make_bundle, make_rows, probability_of

DATA = Data(raw="rows.csv", target="left")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    return Runtime(make_bundle(tmp_path_factory.mktemp("b") / "bundle"))


@pytest.fixture
def table(tmp_path):
    rows = pl.DataFrame(make_rows(300, seed=1), infer_schema_length=None)
    path = tmp_path / "rows.csv"
    rows.write_csv(path)
    return path


def score(runtime, table, output, **options):
    return predict(table, output, runtime, DATA, version="7", **options)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_every_row_gets_the_models_answer_with_version_and_digest(runtime, table, tmp_path, ending):
    rows = make_rows(300, seed=1)
    found = score(runtime, table, tmp_path / f"out.{ending}")
    written = pl.read_csv(tmp_path / "out.csv") if ending == "csv" else pl.read_parquet(tmp_path / "out.parquet")
    assert written["probability"].to_list() == pytest.approx([probability_of(row) for row in rows], abs=1e-6)
    assert set(written["label"]) == {"No", "Yes"}
    assert (found.rows, sum(found.labels.values())) == (300, 300)
    assert {(str(one), two) for one, two in written.select("version", "digest").unique().rows()} == {("7", runtime.bundle.digest)}


def test_rows_are_named_by_their_id_where_the_table_has_one_and_numbered_elsewhere(runtime, table, tmp_path):
    score(runtime, table, tmp_path / "out.csv")
    assert pl.read_csv(tmp_path / "out.csv")[ID].to_list() == [f"c1-{number}" for number in range(300)]
    without = tmp_path / "without.csv"
    pl.read_csv(table, infer_schema=False).drop(ID).write_csv(without)
    score(runtime, without, tmp_path / "numbered.csv")
    assert pl.read_csv(tmp_path / "numbered.csv")["row"].to_list() == list(range(1, 301))


def test_a_folder_in_batches_gives_the_same_as_one_file(runtime, table, tmp_path, monkeypatch):
    monkeypatch.setattr("seatrial.predict.BATCH", 70)
    (tmp_path / "parts").mkdir()
    rows = pl.read_csv(table, infer_schema=False)
    rows[:100].write_csv(tmp_path / "parts/a.csv")
    rows[100:].write_parquet(tmp_path / "parts/b.parquet")
    score(runtime, table, tmp_path / "one.parquet")
    score(runtime, tmp_path / "parts", tmp_path / "many.parquet")
    one, many = (pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("one", "many"))
    assert one["probability"].to_list() == many["probability"].to_list()


def test_the_tables_columns_can_stand_beside_the_answers(runtime, table, tmp_path):
    score(runtime, table, tmp_path / "out.parquet", inputs=True)
    assert {"amount", "colour", "label", "probability"} < set(pl.read_parquet(tmp_path / "out.parquet").columns)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("visits", "many", "row 42, column 'visits': 'many' is no integer"),
        ("visits", "", "row 42, column 'visits': a value is missing"),
        ("member", "perhaps", "row 42, column 'member': 'perhaps' is no boolean"),
        ("amount", "inf", "row 42, column 'amount': 'inf' is no number"),
    ],
)
def test_a_row_that_the_model_cannot_take_is_named_and_nothing_is_written(runtime, table, tmp_path, column, value, words):
    rows = pl.read_csv(table, infer_schema=False)
    changed = rows.with_columns(pl.when(pl.int_range(pl.len()) == 41).then(pl.lit(value)).otherwise(pl.col(column)).alias(column))
    changed.write_csv(table)
    with pytest.raises(DataError, match=words):
        score(runtime, table, tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_the_row_is_counted_from_the_start_of_its_file(runtime, table):
    rows = pl.read_csv(table, infer_schema=False).with_columns(visits=pl.lit("many"))
    with pytest.raises(DataError, match=r"part\.csv, row 101, column 'visits'"):
        checked(rows, runtime.bundle.manifest, place="part.csv", start=100)


def test_a_missing_column_is_named(runtime, table, tmp_path):
    pl.read_csv(table, infer_schema=False).drop("plan").write_csv(table)
    with pytest.raises(DataError, match="no column 'plan'"):
        score(runtime, table, tmp_path / "out.csv")


def test_what_training_never_saw_is_answered_and_counted(runtime, table, tmp_path):
    pl.read_csv(table, infer_schema=False).with_columns(plan=pl.lit("gold"), amount=pl.lit("1000")).write_csv(table)
    found = score(runtime, table, tmp_path / "out.csv")
    assert (found.unseen["plan"], found.outside["amount"]) == (300, 300)


def test_a_batch_with_an_unseen_category_gets_the_same_answers_for_its_other_rows(runtime, tmp_path):
    rows = make_rows(40, seed=2)
    rows[20] |= {"plan": "gold", "colour": None}
    frame = pl.DataFrame(rows, infer_schema_length=None)
    known, mixed = (checked(part, runtime.bundle.manifest, place="rows") for part in (frame[:20], frame))
    assert isinstance(known["plan"].dtype, pl.Enum)
    assert (mixed["plan"].dtype, isinstance(mixed["colour"].dtype, pl.Enum)) == (pl.String, True)
    assert runtime.score_frame(known).tolist() == runtime.score_frame(mixed)[:20].tolist()
    assert runtime.score_frame(mixed).tolist() == runtime.score_frame(frame).tolist()


@pytest.mark.parametrize("name", ["out.xlsx", "out.csv.gz", "out"])
def test_an_output_of_another_kind_is_refused_before_any_work(runtime, table, tmp_path, name):
    with pytest.raises(UsageError, match=r"neither \.csv nor \.parquet"):
        score(runtime, table, tmp_path / name)


def test_the_table_is_never_written_over(runtime, table):
    before = table.read_bytes()
    with pytest.raises(UsageError, match="is the table itself"):
        score(runtime, table, table)
    assert table.read_bytes() == before


def test_an_earlier_output_stays_where_a_run_fails(runtime, table, tmp_path):
    score(runtime, table, tmp_path / "out.csv")
    before = (tmp_path / "out.csv").read_bytes()
    pl.read_csv(table, infer_schema=False).with_columns(visits=pl.lit("many")).write_csv(table)
    with pytest.raises(DataError):
        score(runtime, table, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == before


def fails(problem):
    def task():
        raise problem

    return task


def test_results_come_in_order_whichever_is_ready_first():
    second = threading.Event()

    def slow():
        assert second.wait(10), "the second is at work while the first is not over"
        return 1

    def quick():
        second.set()
        return 2

    assert list(in_order(iter([slow, quick, lambda: 3]), ahead=2)) == [1, 2, 3]


def test_no_more_tasks_are_begun_than_may_be_ahead():
    taken = []

    def tasks():
        for number in range(20):
            taken.append(number)
            yield lambda number=number: number

    results = in_order(tasks(), ahead=2)
    for number in range(5):
        assert next(results) == number
        assert len(taken) == number + 3
    results.close()


def test_the_first_problem_in_order_is_raised_be_it_a_task_s_or_the_table_s():
    def tasks():
        yield lambda: 1
        yield fails(DataError("row 7"))
        raise DataError("the file is torn")

    results = in_order(tasks(), ahead=8)
    assert next(results) == 1
    with pytest.raises(DataError, match="row 7"):
        next(results)


@pytest.mark.parametrize("ahead", [1, 2, 8])
def test_nothing_follows_the_first_problem(ahead):
    tasks = [lambda: 1, fails(DataError("row 7")), lambda: 3, fails(DataError("row 400")), lambda: 5]
    results = in_order(iter(tasks), ahead=ahead)
    assert next(results) == 1
    with pytest.raises(DataError, match="row 7"):
        next(results)
    assert list(results) == []


def test_a_table_that_ends_torn_is_said_after_what_was_read_of_it():
    def tasks():
        yield lambda: 1
        raise DataError("the file is torn")

    results = in_order(tasks(), ahead=8)
    assert next(results) == 1
    with pytest.raises(DataError, match="torn"):
        next(results)
