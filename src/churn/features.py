"""From typed columns to the scikit-learn pipeline: imputation, encoding, estimator.

What it reads is the design matrix of seatrial.matrix: float32 and strings, as the served model is given them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.bundle import Input
from seatrial.errors import DataError
from seatrial.onnx_checks import OUTPUT
from seatrial.params import Train

if TYPE_CHECKING:
    import polars as pl
    from sklearn.pipeline import Pipeline

    from seatrial.contract import Column

MAX_CATEGORIES = 50
"""The most frequent values of a column that get an indicator of their own; the others share none, as unseen ones do."""


def model_inputs(frame: pl.DataFrame, columns: tuple[Column, ...]) -> tuple[Input, ...]:
    """The model's inputs with what was seen in training: categories in order of name, or smallest and largest value.

    DataError where a column has the name of the model's answer.
    """
    if OUTPUT in {column.name for column in columns}:
        raise DataError(
            f"column {OUTPUT!r} cannot be an input: the model's answer is named so",
            hint="give it another name, or role: ignore in the contract",
        )
    return tuple(_input(frame[column.name], column) for column in columns)


def _input(series: pl.Series, column: Column) -> Input:
    if column.type not in ("integer", "number", "boolean"):
        return Input(name=column.name, type="category", nullable=bool(column.nullable), categories=_categories(series))
    low, high = series.cast(float).min(), series.cast(float).max()
    return Input(name=column.name, type=column.type, nullable=bool(column.nullable), minimum=_number(low), maximum=_number(high))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _categories(series: pl.Series) -> tuple[str, ...]:
    counts = series.drop_nulls().value_counts(sort=False).rows()
    frequent = sorted(counts, key=lambda pair: (-pair[1], pair[0]))[:MAX_CATEGORIES]
    return tuple(sorted(value for value, _ in frequent if value != ""))


def build_pipeline(inputs: tuple[Input, ...], settings: Train) -> Pipeline:
    """The untrained pipeline for these inputs."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    numbers = [column.name for column in inputs if column.type != "category"]
    categories = [column for column in inputs if column.type == "category" and column.categories]
    branches = [
        ("number", _number_branch(scaled=settings.estimator == "logistic_regression"), numbers),
        ("category", _category_branch(categories), [column.name for column in categories]),
    ]
    return Pipeline([("columns", ColumnTransformer([branch for branch in branches if branch[2]])), ("estimator", _estimator(settings))])


def _number_branch(*, scaled: bool) -> Pipeline:
    """Median for what is missing; scaled only for the linear model, because scaling in float32 moves values across the trees' splits."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    steps: list[tuple[str, Any]] = [("imputer", SimpleImputer(strategy="median", keep_empty_features=True))]
    if scaled:
        steps.append(("scaler", StandardScaler()))
    return Pipeline(steps)


def _category_branch(columns: list[Input]) -> Pipeline:
    """One indicator for each category; a missing value takes the most frequent one's, an unseen value takes none."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    imputer = SimpleImputer(missing_values="", strategy="most_frequent", keep_empty_features=True)
    encoder = OneHotEncoder(categories=[list(column.categories or ()) for column in columns], handle_unknown="ignore", sparse_output=False)
    return Pipeline([("imputer", imputer), ("encoder", encoder)])


def _estimator(settings: Train) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    match settings.estimator:
        case "hist_gradient_boosting":
            return HistGradientBoostingClassifier(
                max_iter=settings.max_iter,
                learning_rate=settings.learning_rate,
                max_depth=settings.max_depth,
                early_stopping=False,
                random_state=settings.seed,
            )
        case "random_forest":
            return RandomForestClassifier(n_estimators=settings.n_estimators, max_depth=settings.max_depth, random_state=settings.seed)
        case "logistic_regression":
            return LogisticRegression(C=settings.c, max_iter=settings.max_iter, random_state=settings.seed)
