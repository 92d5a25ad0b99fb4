from dataclasses import replace

from seatrial.looks import Look, append_look, look_number, read_looks

LOOK = Look(
    when="2026-11-20T10:00:00+00:00",
    who="ann",
    environment="local",
    model="m",
    bundle="sha256:a",
    test_data="md5:1",
    champion=None,
    verdict="sha256:v",
    outcome="fail",
)


def look(bundle, test_data="md5:1"):
    return replace(LOOK, bundle=bundle, test_data=test_data)


def number(looks, registered=(), bundle="sha256:new"):
    return look_number(looks, registered, bundle=bundle, test_data="md5:1")


def test_every_other_bundle_on_the_same_rows_counts_once():
    assert number([]) == 1
    assert number([look("sha256:a")]) == 2
    assert number([look("sha256:a"), look("sha256:a"), look("sha256:b")]) == 3


def test_the_same_bundle_again_and_other_rows_do_not_count():
    assert number([look("sha256:new"), look("sha256:a", "md5:2")]) == 1


def test_bundles_that_the_registry_knows_count_too_but_not_twice():
    assert number([look("sha256:a")], registered=["sha256:a", "sha256:b", "sha256:new"]) == 3


def test_what_was_written_is_read_in_order(tmp_path):
    assert read_looks(tmp_path) == ()
    for bundle in ("sha256:a", "sha256:b"):
        append_look(tmp_path / "home", look(bundle))
    assert read_looks(tmp_path / "home") == (look("sha256:a"), look("sha256:b"))


def test_a_torn_or_strange_line_costs_that_line_only(tmp_path):
    append_look(tmp_path, look("sha256:a"))
    with (tmp_path / "gates.jsonl").open("ab") as stream:
        stream.write(b'{"when": 1}\nnull\n{"when": "2026-1')
    append_look(tmp_path, look("sha256:b"))
    assert [one.bundle for one in read_looks(tmp_path)] == ["sha256:a", "sha256:b"]
