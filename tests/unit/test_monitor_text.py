import datetime as dt
import re

from seatrial.alerts import Alert
from seatrial.monitor_history import Measure
from seatrial.monitor_text import prometheus_text
from tests.monitors import record

SAMPLE = re.compile(r'([a-z_0-9]+)\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*)\} (-?[0-9.e+-]+)')
NOW = dt.datetime(2026, 8, 2, tzinfo=dt.UTC)


def text(found, alerts=()):
    opened = {name: Alert(check=name, since="w", told=NOW, message="m") for name in alerts}
    return prometheus_text(found, opened, model="leavers", environment="local")


def samples(found, alerts=()):
    """Name → labels → value, of every line that is no comment; each has to be a sample."""
    lines = [line for line in text(found, alerts).splitlines() if not line.startswith("#")]
    matches = [SAMPLE.fullmatch(line) for line in lines]
    assert all(matches), lines
    return {(one[1], one[2]): float(one[3]) for one in matches}


def test_the_newest_window_is_told_with_model_environment_and_version():
    found = samples(record(0, errors=0.25, metric=0.8))
    own = 'model="leavers",environment="local",version="3"'
    assert found["seatrial_window_rows", own] == 700
    assert found["seatrial_window_error_ratio", own] == 0.25
    assert found["seatrial_performance", f'{own},metric="roc_auc"'] == 0.8
    assert found["seatrial_window_end_seconds", own] == NOW.timestamp()


def test_checks_and_open_alerts_are_ones_and_noughts():
    found = samples(record(0, failing=("drift.columns",)), alerts=("drift.columns",))
    own = 'model="leavers",environment="local",version="3",check='
    assert found["seatrial_check_passed", f'{own}"drift.columns"'] == 0
    assert found["seatrial_check_passed", f'{own}"monitor.rows"'] == 1
    assert found["seatrial_alert_open", f'{own}"drift.columns"'] == 1


def test_what_was_not_measured_is_left_out_and_every_family_is_declared_once():
    told = text(record(0))
    assert "seatrial_window_error_ratio" not in told
    kinds = re.findall(r"# TYPE (\S+) gauge", told)
    assert len(kinds) == len(set(kinds))
    assert set(kinds) == {name for name, _ in samples(record(0))}
    assert told.endswith("\n")


def test_hostile_column_names_stay_labels():
    found = record(0)
    name = 'a"b\\c\nd'
    hostile = type(found)(
        **{key: getattr(found, key) for key in found.__slots__}
        | {"measures": (*found.measures, Measure(name="unseen", part=name, value=0.5))}
    )
    (labels,) = [labels for kind, labels in samples(hostile) if kind == "seatrial_drift_unseen_ratio"]
    assert labels.endswith(r'column="a\"b\\c\nd"')
