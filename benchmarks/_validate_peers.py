"""The same questions asked by another tool, in this process: prints seconds (imports apart) and peak memory in MiB as JSON.

    python _validate_peers.py polars|pandera|gx FOLDER

FOLDER holds rules.json: for each column its type, range, allowed values, nullability and uniqueness.
"""

import json
import resource
import sys
import time
from pathlib import Path


def polars_scan(files, rules):
    """A streaming scan of the aggregates that the profile and the row checks are made of; no exact uniqueness."""
    import polars as pl

    def scan():
        table = pl.scan_parquet(files)
        questions = []
        for name, rule in rules.items():
            cell = pl.col(name)
            questions.append(cell.null_count().alias(f"{name}:null"))
            if rule["type"] in ("integer", "number"):
                moments = (
                    cell.min(),
                    cell.max(),
                    cell.mean(),
                    cell.std(),
                )
                questions += [moment.alias(f"{name}:{at}") for at, moment in enumerate(moments)]
            if rule["type"] == "date":
                questions += [cell.min().alias(f"{name}:low"), cell.max().alias(f"{name}:high")]
            if rule["range"]:
                low, high = rule["range"]
                questions.append(((cell < low) | (cell > high)).sum().alias(f"{name}:range"))
            if rule["allowed"]:
                questions.append((~cell.is_in(rule["allowed"])).sum().alias(f"{name}:allowed"))
            if rule["pattern"]:
                questions.append((~cell.str.contains(f"^(?:{rule['pattern']})$")).sum().alias(f"{name}:pattern"))
            questions.append(cell.approx_n_unique().alias(f"{name}:distinct"))
        counts = [table.group_by(name).len() for name, rule in rules.items() if not rule["unique"]]
        pl.collect_all([table.select(questions), *counts], engine="streaming")

    return scan


def pandera_frame(files, rules):
    """pandera on pandas: types, nulls, ranges, sets, patterns, uniqueness, and describe() for a profile."""
    import pandas as pd
    import pandera.pandas as pa

    kinds = {"integer": "Int64", "number": float, "string": str, "date": None}
    columns = {}
    for name, rule in rules.items():
        checks = []
        if rule["range"]:
            checks.append(pa.Check.in_range(*rule["range"]))
        if rule["allowed"]:
            checks.append(pa.Check.isin(rule["allowed"]))
        if rule["pattern"]:
            checks.append(pa.Check.str_matches(f"(?:{rule['pattern']})$"))
        integer = rule["type"] == "integer"
        columns[name] = pa.Column("int64" if integer else kinds[rule["type"]], checks, nullable=rule["nullable"] > 0, unique=rule["unique"])
    schema = pa.DataFrameSchema(columns, strict=True)

    def check():
        frame = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
        schema.validate(frame, lazy=True)
        frame.describe()
        for name, rule in rules.items():
            if not rule["unique"]:
                frame[name].value_counts()

    return check


def great_expectations(files, rules):
    """Great Expectations on pandas: the same expectations in one suite."""
    import great_expectations as gx
    import great_expectations.expectations as gxe
    import pandas as pd

    def check():
        frame = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        source = context.data_sources.add_pandas("pandas").add_dataframe_asset("table").add_batch_definition_whole_dataframe("whole")
        suite = context.suites.add(gx.ExpectationSuite(name="rules"))
        for name, rule in rules.items():
            suite.add_expectation(gxe.ExpectColumnToExist(column=name))
            suite.add_expectation(gxe.ExpectColumnValuesToNotBeNull(column=name, mostly=1 - rule["nullable"]))
            if rule["range"]:
                suite.add_expectation(
                    gxe.ExpectColumnValuesToBeBetween(column=name, min_value=rule["range"][0], max_value=rule["range"][1])
                )
            if rule["allowed"]:
                suite.add_expectation(gxe.ExpectColumnValuesToBeInSet(column=name, value_set=rule["allowed"]))
            if rule["pattern"]:
                suite.add_expectation(gxe.ExpectColumnValuesToMatchRegex(column=name, regex=f"^(?:{rule['pattern']})$"))
            if rule["unique"]:
                suite.add_expectation(gxe.ExpectColumnValuesToBeUnique(column=name))
        result = source.get_batch({"dataframe": frame}).validate(suite)
        if not result.success:
            raise SystemExit("Great Expectations found the synthetic table wrong")

    return check


PEERS = {"polars": polars_scan, "pandera": pandera_frame, "gx": great_expectations}


def main() -> None:
    """Ask one peer about the files of a folder."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    rules = json.loads((folder / "rules.json").read_text())
    ask = PEERS[name](sorted(str(path) for path in (folder / "table").glob("*.parquet")), rules)
    start = time.perf_counter()
    ask()
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
