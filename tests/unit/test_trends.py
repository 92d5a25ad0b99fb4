import re
import xml.etree.ElementTree as ElementTree

from seatrial.trends import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Line, Point, heat_map, trend

DAYS = ["08-01", "08-02", "08-03", "08-04"]


def line(*values, tone="first", **options):
    return Line(name="failed", tone=tone, points=[Point(value=value, **options) for value in values])


def dots(svg):
    return [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg)]


def test_dots_lie_in_order_inside_the_frame_and_higher_values_higher():
    places = dots(trend("Failed", [line(0.01, 0.03, 0.02, 0.0)], DAYS))
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert all(LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM for x, y in places)
    heights = [y for _, y in places]
    assert heights[1] < heights[2] < heights[0] < heights[3]


def test_a_window_without_a_value_breaks_the_curve():
    svg = trend("Failed", [line(1, 2, None, 3)], DAYS)
    assert len(dots(svg)) == 3
    assert len(re.findall(r'<path class="first"', svg)) == 1


def test_a_limit_is_inside_the_picture_though_no_value_reaches_it():
    svg = trend("Failed", [line(0.001, 0.002)], DAYS[:2], limit=0.01)
    (height,) = re.findall(rf'class="limit" d="M{LEFT} ([\d.]+)H', svg)
    assert float(height) == TOP
    assert "limit 0.01" in svg


def test_failures_and_simulations_are_marked_and_told():
    svg = trend(
        "Failed", [Line(name="failed", tone="first", points=[Point(value=1.0, failed=True), Point(value=2.0, simulated=True)])], DAYS[:2]
    )
    assert 'class="first fail"' in svg
    assert 'class="first simulated"' in svg
    assert "failed in 1" in svg
    assert "08-02: failed 2, simulation" in svg


def test_nothing_measured_is_nothing_drawn_and_equal_values_are_drawn():
    assert trend("Failed", [line(None, None)], DAYS[:2]) == ""
    assert len(dots(trend("Failed", [line(0.0, 0.0)], DAYS[:2]))) == 2


def test_drawings_are_well_formed_whatever_the_names():
    hostile = '<script>&"'
    ElementTree.fromstring(trend(hostile, [line(1, 2, low=0.5, high=2.5)], [hostile, "b"], changes=[1]))
    ElementTree.fromstring(heat_map({hostile: [0.5, None]}, [hostile, "b"], words=hostile))


def test_the_map_tells_calm_from_drifted_from_unknown():
    svg = heat_map({"amount": [0.2, 1.0, None]}, DAYS[:3], words="map")
    assert list(re.findall(r'rect class="(\w+)"', svg)) == ["calm", "fail", "none"]
    assert "amount, 08-01: 20% of the limit" in svg
