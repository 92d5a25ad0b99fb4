"""Progress: silent while it is quick, plain lines in CI, a bar on a terminal."""

import io

import pytest

from seatrial.progress import counting, reading


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(stream, steps, *, total=100, label="reading t.csv", term="xterm"):
    """What is written while (time, bytes, rows) are told of."""
    times = iter([0.0, *(time for time, _, _ in steps)])
    with reading(total, label, stream=stream, clock=lambda: next(times), environ={"TERM": term}) as advance:
        for _, size, rows in steps:
            advance(size, rows)
    return stream.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["CI", "terminal"])
def test_nothing_is_shown_of_what_is_quick(stream):
    assert shown(stream, [(0.5, 50, 10), (1.99, 50, 10)]) == ""


def test_a_line_comes_every_five_seconds():
    steps = [(2.0, 10, 1000), (3.0, 10, 1000), (6.9, 10, 1000), (7.0, 10, 1000), (8.0, 60, 1)]
    assert shown(io.StringIO(), steps) == "reading t.csv: 10%, 1,000 rows\nreading t.csv: 40%, 4,000 rows\n"


def test_more_than_all_is_all_and_an_unknown_total_is_left_out():
    assert shown(io.StringIO(), [(3.0, 150, 7)]) == "reading t.csv: 100%, 7 rows\n"
    assert shown(io.StringIO(), [(3.0, 150, 7)], total=0) == "reading t.csv: 7 rows\n"


def test_a_terminal_gets_a_bar_that_is_taken_away(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    text = shown(Terminal(), [(3.0, 50, 10), (4.0, 50, 10)])
    assert "reading t.csv" in text
    assert "20 rows" in text or "10 rows" in text
    assert text.endswith("\x1b[2K")


def test_a_terminal_that_can_draw_nothing_gets_lines():
    assert shown(Terminal(), [(3.0, 50, 10)], term="dumb") == "reading t.csv: 50%, 10 rows\n"


def test_a_name_with_brackets_is_no_markup(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    assert "reading [red]*.csv" in shown(Terminal(), [(3.0, 50, 10)], label="reading [red]*.csv")


def _torn(advance):
    advance(1, 1)
    raise OSError("torn")


def test_an_error_takes_the_bar_away_too(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream, times = Terminal(), iter([0.0, 3.0])
    with pytest.raises(OSError, match="torn"), reading(10, "r", stream=stream, clock=lambda: next(times), environ={}) as advance:
        _torn(advance)
    assert stream.getvalue().endswith("\x1b[2K")


def test_standard_error_is_where_it_goes(capsys):
    times = iter([0.0, 2.0])
    with reading(10, "reading", clock=lambda: next(times)) as advance:
        advance(5, 7)
    assert capsys.readouterr() == ("", "reading: 50%, 7 rows\n")


def counted(stream, moments, *, term="xterm"):
    """What is written while pieces of work end at these times."""
    now = 0.0
    with counting(10, "drawing", stream=stream, clock=lambda: now, environ={"TERM": term}) as step:
        for now in moments:  # noqa: B007 - the clock reads it
            step()
    return stream.getvalue()


def test_counted_work_is_silent_at_first_then_a_line_or_a_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    assert counted(io.StringIO(), []) == ""
    assert counted(io.StringIO(), [1.9, 2.5, 2.6, 7.5]) == "drawing: 2 of 10\ndrawing: 4 of 10\n"
    assert "3/10" in counted(Terminal(), [2.5, 2.6, 2.7])
