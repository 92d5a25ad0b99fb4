import msgspec

from seatrial.bundle import Input
from seatrial.serving.metrics import Metrics
from tests.bundles import make_bundle


def rendered(metrics, **counts):
    return metrics.render(**counts).decode().splitlines()


def test_requests_rows_unusual_values_and_the_log_are_counted(tmp_path):
    bundle = make_bundle(tmp_path / "model")
    metrics = Metrics(bundle.manifest, version="3", digest=bundle.digest)
    metrics.requests[200] += 2
    metrics.requests[400] += 1
    metrics.answered(5, [0, 0, 3])
    lines = rendered(metrics, log_written=4, log_dropped=1)
    assert f'seatrial_server_info{{version="3",digest="{bundle.digest}"}} 1' in lines
    assert 'seatrial_requests_total{status="200"} 2' in lines
    assert 'seatrial_requests_total{status="400"} 1' in lines
    assert "seatrial_rows_total 5" in lines
    assert 'seatrial_out_of_range_total{column="amount"} 2' in lines
    assert 'seatrial_unseen_categories_total{column="colour"} 1' in lines
    assert 'seatrial_unseen_categories_total{column="plan"} 0' in lines
    assert "seatrial_log_rows_written_total 4" in lines
    assert "seatrial_log_rows_dropped_total 1" in lines


def test_a_column_with_quotes_is_escaped(tmp_path):
    strange = Input(name='a"b\\c\nd', type="number", nullable=False)
    manifest = msgspec.structs.replace(make_bundle(tmp_path / "model").manifest, inputs=(strange,))
    assert 'seatrial_out_of_range_total{column="a\\"b\\\\c\\nd"} 0' in rendered(Metrics(manifest, version="1", digest="d"))
