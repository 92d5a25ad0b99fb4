"""Stage `preprocess`: split the raw table into training and held-out rows."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from seatrial.contract import check_roles, load_contract
from seatrial.errors import DataError
from seatrial.project import Project
from seatrial.stages import run_stage
from seatrial.tables import read_typed

if TYPE_CHECKING:
    import polars as pl


def preprocess(project: Project) -> None:
    """Read `data.raw`, type it by the contract, split it, write both parts as Parquet."""
    settings = project.settings
    contract = load_contract(project.contract)
    check_roles(contract, settings.data)
    frame = read_typed(project, contract)
    labelled = frame.drop_nulls(settings.data.target)
    held_out = is_held_out(
        split_keys(labelled, settings.data.id, settings.data.target), settings.preprocess.test_size, settings.preprocess.seed
    )
    train, test = labelled.filter([not one for one in held_out]), labelled.filter(held_out)
    for name, part in (("training", train), ("held-out", test)):
        if part.height == 0 or part[settings.data.target].n_unique() != 2:
            found = part[settings.data.target].n_unique()
            raise DataError(
                f"{part.height} {name} rows with {found} {'class' if found == 1 else 'classes'}: both parts need both",
                hint="more rows, or another preprocess.test_size",
            )
    project.train_data.parent.mkdir(parents=True, exist_ok=True)
    train.write_parquet(project.train_data)
    test.write_parquet(project.test_data)
    print(f"preprocess: {train.height} training rows, {test.height} held out")


def split_keys(frame: pl.DataFrame, id_column: str | None, target: str) -> list[str]:
    """What decides a row's side: its id, or all of its cells but the target where there is no id."""
    if id_column is not None:
        return [str(value) for value in frame[id_column]]
    return ["\x1f".join("" if cell is None else str(cell) for cell in row) for row in frame.drop(target).iter_rows()]


def is_held_out(keys: list[str], share: float, seed: int) -> list[bool]:
    """Whether each key is held out: its hash with the seed, read as a number in [0, 1), lies below `share`.

    A key never changes sides when rows are added, and equal keys stay together.
    """
    return [_position(key, seed) < share for key in keys]


def _position(key: str, seed: int) -> float:
    digest = hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


if __name__ == "__main__":
    run_stage(preprocess)
