"""Envoy's configuration as data."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.adapters.envoy import (
    Clusters,
    Route,
    bootstrap,
    clusters,
    file_version,
    listeners,
    read_address,
    read_clusters,
    read_route,
    routes,
)
from seatrial.adapters.envoy_listener import Door

TWO = Clusters(sockets={3: ("/run/v3-0", "/run/v3-1"), 4: ("/run/v4-0",)})
VERSIONS = st.integers(min_value=1, max_value=10**6)


def resources(data):
    return {one["name"]: one for one in json.loads(data)["resources"]}


def action(route):
    return resources(routes(route, timeout=2))["seatrial"]["virtual_hosts"][0]["routes"][-1]


def weights(route):
    return {one["name"]: one["weight"] for one in action(route)["route"]["weighted_clusters"]["clusters"]}


def test_without_a_route_everything_is_answered_503():
    assert action(None)["direct_response"]["status"] == 503


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        (Route(champion=3), {"version-3": 100}),
        (Route(champion=3, challenger=4), {"version-3": 100}),
        (Route(champion=3, challenger=4, weight=1), {"version-3": 99, "canary-4": 1}),
        (Route(champion=3, challenger=4, weight=100), {"version-3": 0, "canary-4": 100}),
    ],
)
def test_the_weights_sum_to_a_hundred(route, expected):
    assert weights(route) == expected


def test_only_a_mirrored_route_copies_requests():
    assert "request_mirror_policies" not in action(Route(champion=3, challenger=4, weight=5))["route"]
    assert action(Route(champion=3, challenger=4, mirror=True))["route"]["request_mirror_policies"] == [{"cluster": "mirror-4"}]


def test_one_retry_with_a_time_limit_for_each_attempt():
    policy = action(Route(champion=3))["route"]["retry_policy"]
    assert (policy["num_retries"], policy["per_try_timeout"]) == (1, "2.000s")
    assert action(Route(champion=3))["route"]["timeout"] == "5.000s"


def test_each_variant_overwrites_the_header_that_a_client_may_have_sent():
    for one in action(Route(champion=3, challenger=4, weight=5))["route"]["weighted_clusters"]["clusters"]:
        sent = one["request_headers_to_add"][0]
        assert sent["append_action"] == "OVERWRITE_IF_EXISTS_OR_ADD"
        assert sent["header"]["value"] == ("champion" if one["name"] == "version-3" else "challenger")


def test_a_route_with_an_unknown_cluster_is_to_be_refused():
    assert resources(routes(Route(champion=3), timeout=1))["seatrial"]["validate_clusters"] is True


def test_a_canary_falls_back_to_the_champion():
    found = resources(clusters(TWO.with_route(Route(champion=3, challenger=4, weight=5))))
    members = found["canary-4"]["cluster_type"]["typed_config"]["clusters"]
    assert members == [{"name": "version-4"}, {"name": "version-3"}]
    assert "mirror-4" not in found


def test_limits_are_generous_for_live_traffic_and_tight_for_the_mirror():
    found = resources(clusters(TWO.with_route(Route(champion=3, challenger=4, mirror=True))))
    limits = {name: one["circuit_breakers"]["thresholds"][0] for name, one in found.items()}
    assert {name: limit["max_retries"] for name, limit in limits.items()} == {
        "version-3": 4096,
        "version-4": 4096,
        "canary-4": 4096,
        "mirror-4": 64,
        "preview-3": 64,
        "preview-4": 64,
    }


def test_what_lost_a_member_goes():
    both = TWO.with_route(Route(champion=3, challenger=4, mirror=True))
    assert both.with_sockets({3: ("/a",)}) == Clusters(sockets={3: ("/a",)})
    assert both.with_sockets({4: ("/b",)}) == Clusters(sockets={4: ("/b",)}, mirrors=(4,))


def test_a_later_champion_takes_over_the_rescue():
    first = TWO.with_route(Route(champion=3, challenger=4, weight=5))
    assert first.with_route(Route(champion=4, challenger=3, weight=5)).canaries == ((3, 4), (4, 3))
    assert first.with_route(Route(champion=5, challenger=4, weight=5)).canaries == ((4, 5),)


@given(VERSIONS, st.none() | VERSIONS, st.integers(min_value=0, max_value=100), st.booleans())
def test_a_route_is_read_back_from_its_version(champion, challenger, weight, mirror):
    route = Route(champion=champion, challenger=challenger, weight=weight, mirror=mirror)
    assert read_route(file_version(routes(route, timeout=1))) == route


@given(st.dictionaries(VERSIONS, st.lists(st.text(min_size=1), min_size=1, max_size=3).map(tuple), min_size=2, max_size=5))
def test_clusters_are_read_back_from_their_file(sockets):
    champion, challenger = sorted(sockets)[:2]
    wanted = Clusters(sockets=sockets).with_route(Route(champion=champion, challenger=challenger, mirror=True))
    assert read_clusters(clusters(wanted)) == wanted


def test_the_same_route_gives_the_same_bytes_and_another_timeout_another_version():
    assert routes(Route(champion=3), timeout=1) == routes(Route(champion=3), timeout=1)
    assert file_version(routes(Route(champion=3), timeout=1)) != file_version(routes(Route(champion=3), timeout=2))


@given(st.integers(min_value=0, max_value=400))
def test_a_torn_file_is_never_read(length):
    data = clusters(TWO)
    assert read_clusters(data[:length]) is None
    assert file_version(data.replace(b"/run/v3-0", b"/run/v9-0")) is None


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"null", b"\xff", b'{"version_info": "x", "resources": 1}'])
def test_another_file_is_never_read(data):
    assert file_version(data) is None
    assert read_clusters(data) is None


def test_no_route_is_read_from_other_words():
    assert read_route("") is None
    assert read_route("nothing 0123") is None


def test_only_the_endpoint_listens_and_the_admin_is_private():
    found = bootstrap(folder=Path("/home/envoy"), admin="/run/admin")
    assert found["admin"]["address"]["pipe"] == {"path": "/run/admin", "mode": 0o600}
    assert "static_resources" not in found
    data = listeners(Door(host="127.0.0.1", port=8080), folder=Path("/home/envoy"))
    assert read_address(data) == ("127.0.0.1", 8080)
    assert resources(data)["public"]["enable_reuse_port"] is False
    assert read_address(data[:-5]) is None


def test_a_route_holds_no_secret_and_testers_come_before_everybody():
    host = resources(routes(Route(champion=3, challenger=4), timeout=1))["seatrial"]["virtual_hosts"][0]
    named = [one["route"].get("cluster") for one in host["routes"]]
    assert named == ["preview-3", "preview-4", None]
    alone = resources(routes(Route(champion=3), timeout=1))["seatrial"]["virtual_hosts"][0]["routes"]
    assert alone[1]["direct_response"]["status"] == 503


def test_the_champion_comes_first_so_that_a_rising_weight_takes_no_key_from_the_challenger():
    drawn = action(Route(champion=3, challenger=4, weight=5))["route"]
    assert [one["name"] for one in drawn["weighted_clusters"]["clusters"]] == ["version-3", "canary-4"]
    assert drawn["weighted_clusters"]["use_hash_policy"] is True


def test_a_secret_is_not_shown():
    secrets = {"token": "hidden-1", "tester_token": "hidden-2", "certificate": "hidden-3", "key": "hidden-4"}
    assert "hidden" not in repr(Door(host="::1", port=1, **secrets))
