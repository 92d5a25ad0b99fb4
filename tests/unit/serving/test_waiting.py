"""The queue in front of the application: who waits, who is set aside, who is refused, and when they go on."""

import asyncio
import re
import selectors
import time

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from seatrial.serving import waiting
from seatrial.serving.exchange import Reply, in_http
from seatrial.serving.waiting import ALONE, ASIDE_FACTOR, bounded

LENGTH = 4
POST = b"POST /invocations HTTP/1.1\r\nhost: x\r\nx-request-id: %d\r\ncontent-length: 2\r\n\r\n{}"


class Transport(asyncio.Transport):
    """A connection that keeps what was written and what was asked of it."""

    def __init__(self):
        super().__init__()
        self.written, self.closed, self.reading = b"", False, True

    def write(self, data):
        self.written += data

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed

    def is_reading(self):
        return self.reading

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    @property
    def statuses(self):
        return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3})", self.written)]


class Echo:
    """An application that answers with the request's id, after `seconds`."""

    identity = ()

    def __init__(self):
        self.seconds, self.asked, self.counted = 0.0, [], 0

    def refused(self):
        self.counted += 1

    def takes(self, scope):
        return scope["method"] == "POST"

    def answer(self, requests):
        time.sleep(self.seconds)
        self.asked += [int(request.id) for request, _ in requests]
        return [Reply(body=request.id) for request, _ in requests]

    def in_http(self, request, reply, *, first, keep_alive):
        return in_http(request, reply, first=first, identity=b"", keep_alive=keep_alive)

    async def __call__(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})


class Desk:
    """Connections to one queue of four; `post` sends a request on a connection of its own."""

    def __init__(self, *, deadline_s=60.0):
        self.application = Echo()
        self.kind = bounded(self.application, max_waiting=LENGTH, deadline_s=deadline_s, read_seconds=60)
        self.queue = self.kind.queue
        self.state = ServerState()
        self.config = uvicorn.Config(self.application, http=self.kind, lifespan="off")
        self.config.load()

    def connect(self):
        transport = Transport()
        protocol = self.kind(config=self.config, server_state=self.state, app_state={})
        protocol.connection_made(transport)
        return protocol, transport

    def post(self, *numbers):
        opened = []
        for number in numbers:
            protocol, transport = self.connect()
            protocol.data_received(POST % number)
            opened.append((protocol, transport))
        return opened

    def fill(self):
        """Four that wait, and no time left for refusals: who comes next is set aside."""
        self.queue._refusals_left = 0.0
        return self.post(*range(LENGTH))


async def settled():
    for _ in range(2 * ASIDE_FACTOR):
        await asyncio.sleep(0)


def run(scenario):
    asyncio.run(scenario())


class Watched(asyncio.SelectorEventLoop):
    """A loop that says, for each time that it waited for events, whether it would sleep, and how many looked for the next request."""

    def __init__(self):
        self.slept, self.lookers = [], []
        self._found = 0
        selector = selectors.DefaultSelector()
        super().__init__(selector)
        select = selector.select

        def watched(timeout=None):
            self.slept.append(timeout != 0)
            self.lookers.append(self._found)
            self._found = 0
            return select(timeout)

        selector.select = watched

    def call_soon(self, callback, *args, **options):
        self._found += getattr(callback, "__name__", "") == "_look_on"
        return super().call_soon(callback, *args, **options)


async def ask(*opened):
    """Ask once on each of these connections, together, and wait for the answers; what the loop did before is forgotten."""
    loop = asyncio.get_running_loop()
    loop.slept, loop.lookers = [], []
    before = [len(transport.statuses) for _, transport in opened]
    for protocol, _ in opened:
        protocol.data_received(POST % 1)
    await settled()
    assert [len(transport.statuses) for _, transport in opened] == [count + 1 for count in before]


async def sleeps():
    """Whether the loop sleeps now."""
    await asyncio.sleep(0.02)
    return any(asyncio.get_running_loop().slept)


def watch(scenario):
    with asyncio.Runner(loop_factory=Watched) as runner:
        runner.run(scenario())


@pytest.mark.parametrize(
    ("passes", "expected"),
    [
        ("a" * ALONE, True),
        ("a" * (ALONE + 1), False),
        ("a" * (ALONE + 2), False),
        ("a" * (ALONE + 1) + "2", True),
        ("a" * (ALONE + 1) + "2" + "a" * ALONE, True),
        ("a" * (ALONE + 1) + "b", True),
        ("a" * (ALONE + 1) + "b" + "a" * ALONE, True),
        ("ab" * ALONE, True),
        ("2" * 2 * ALONE, True),
    ],
    ids=["below", "at", "above", "then two", "two between", "then another", "another between", "in turn", "always two"],
)
def test_one_connection_that_asks_again_and_again_is_awaited_without_sleeping(passes, expected, monkeypatch):
    monkeypatch.setattr(waiting, "LOOKING_S", 60)

    async def scenario():
        desk = Desk()
        first, second = desk.connect(), desk.connect()
        for asked in passes:
            await ask(*{"a": [first], "b": [second], "2": [first, second]}[asked])
        assert await sleeps() is expected

    watch(scenario)


def test_a_server_that_has_looked_long_enough_sleeps(monkeypatch):
    monkeypatch.setattr(waiting, "LOOKING_S", 60)

    async def scenario():
        desk = Desk()
        client = desk.connect()
        for _ in range(ALONE + 1):
            await ask(client)
        monkeypatch.setattr(waiting, "LOOKING_S", 0.005)
        desk.queue._answered = time.perf_counter() + 60  # however long this machine took: it asks again soon
        await ask(client)
        assert await sleeps()

    watch(scenario)


@pytest.mark.parametrize(("seconds", "expected"), [(0.02, False), (0.0, True)], ids=["late", "soon"])
def test_who_asks_again_late_is_not_looked_for(seconds, expected, monkeypatch):
    monkeypatch.setattr(waiting, "LOOKING_S", 0.01 if seconds else 60)

    async def scenario():
        client = Desk().connect()
        for _ in range(2 * ALONE):
            await ask(client)
            await asyncio.sleep(seconds)
        assert any(asyncio.get_running_loop().lookers) is expected

    watch(scenario)


def test_however_often_one_has_asked_one_look_goes_on(monkeypatch):
    monkeypatch.setattr(waiting, "LOOKING_S", 60)

    async def scenario():
        client = Desk().connect()
        for _ in range(3 * ALONE):
            await ask(client)
        assert set(asyncio.get_running_loop().lookers[-20:]) == {1}

    watch(scenario)


def test_past_the_queue_some_are_refused_some_set_aside_and_the_others_refused():
    async def scenario():
        desk = Desk()
        before = [desk.post(number)[0][1] for number in range(LENGTH + LENGTH + ASIDE_FACTOR * LENGTH + 2)]
        at_once = [transport.statuses for transport in before]
        assert at_once == [[]] * LENGTH + [[503]] * LENGTH + [[]] * ASIDE_FACTOR * LENGTH + [[503]] * 2
        await settled()
        after = [transport.statuses for transport in before]
        assert after == [[200]] * LENGTH + [[503]] * LENGTH + [[200]] * ASIDE_FACTOR * LENGTH + [[503]] * 2
        assert desk.application.counted == LENGTH + 2

    run(scenario)


def test_who_does_not_fit_into_the_memory_for_those_set_aside_is_refused_until_there_is_room(monkeypatch):
    monkeypatch.setattr(waiting, "ASIDE_BYTES", 2 * len(POST % 7))

    async def scenario():
        desk = Desk()
        desk.fill()
        aside = [transport for _, transport in desk.post(5, 6, 7)]
        assert [transport.statuses for transport in aside] == [[], [], [503]]
        await settled()
        desk.fill()
        again = [transport for _, transport in desk.post(5, 6, 7)]
        assert [transport.statuses for transport in again] == [[], [], [503]]
        await settled()
        assert [transport.statuses for transport in (*aside, *again)] == [[200], [200], [503]] * 2

    run(scenario)


def test_who_was_set_aside_first_goes_on_first():
    async def scenario():
        desk = Desk()
        desk.fill()
        desk.post(7, 5, 6)
        await settled()
        assert desk.application.asked == [0, 1, 2, 3, 7, 5, 6]

    run(scenario)


def test_nobody_overtakes_who_was_set_aside():
    async def scenario():
        desk = Desk()
        desk.fill()
        desk.post(5)
        desk.queue._waiting.popleft()  # there is room again
        ((_, late),) = desk.post(6)
        assert late.statuses == []
        await settled()
        assert desk.application.asked == [1, 2, 3, 5, 6]

    run(scenario)


def test_who_was_set_aside_is_parsed_when_few_are_before_him(monkeypatch):
    monkeypatch.setattr(waiting, "AT_ONCE", 2)

    async def scenario():
        desk = Desk()
        desk.fill()
        desk.post(7, 8, 9)
        seen = []
        while desk.queue._waiting:
            seen.append((len(desk.queue._waiting), len(desk.queue._aside)))
            await asyncio.sleep(0)
        assert seen == [(4, 3), (2, 3), (2, 1), (1, 0)]
        assert desk.application.asked == [0, 1, 2, 3, 7, 8, 9]

    run(scenario)


def test_who_waited_too_long_is_refused_unparsed():
    async def scenario():
        desk = Desk(deadline_s=0.01)
        desk.fill()
        ((protocol, transport),) = desk.post(9)
        assert transport.statuses == []
        protocol._since -= 1
        await settled()
        assert transport.statuses == [503]
        assert 9 not in desk.application.asked
        assert protocol.timeout_keep_alive_task is not None, "an idle connection is closed in the end"

    run(scenario)


@pytest.mark.parametrize("end", ["eof_received", "shutdown"])
def test_who_sends_no_more_and_whom_a_server_that_ends_set_aside_are_answered(end):
    async def scenario():
        desk = Desk()
        desk.fill()
        ((protocol, transport),) = desk.post(9)
        desk.queue._waiting.popleft()
        kept_open = getattr(protocol, end)()
        assert kept_open is (True if end == "eof_received" else None)
        await settled()
        assert transport.statuses == [200]
        assert transport.closed
        assert b"connection: close" in transport.written

    run(scenario)


def test_who_went_away_is_not_scored_and_his_memory_is_free_again():
    async def scenario():
        desk = Desk()
        desk.fill()
        ((protocol, transport),) = desk.post(9)
        assert desk.queue.aside_bytes == len(POST % 9)
        transport.close()
        protocol.connection_lost(None)
        await settled()
        assert 9 not in desk.application.asked
        assert desk.queue.aside_bytes == 0

    run(scenario)


def test_who_sends_more_meanwhile_is_read_no_further_and_gets_both_answers_in_order():
    async def scenario():
        desk = Desk()
        desk.fill()
        ((protocol, transport),) = desk.post(8)
        protocol.data_received(POST % 9)
        assert not transport.reading
        await settled()
        assert transport.reading
        assert transport.statuses == [200, 200]
        assert transport.written.index(b"x-request-id: 8") < transport.written.index(b"x-request-id: 9")

    run(scenario)


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, False), (0.3, False), (0.6, True)])
def test_refusing_may_take_a_fiftieth_of_the_time_that_answering_took(seconds, expected, monkeypatch):
    monkeypatch.setattr(waiting, "REFUSAL_S", 0.01)

    async def scenario():
        desk = Desk()
        desk.application.seconds = seconds
        desk.fill()
        await settled()
        assert (desk.queue._refusals_left >= 1) is expected
        assert desk.queue._refusals_left <= LENGTH

    run(scenario)


def test_a_server_full_of_large_requests_lets_those_set_aside_go_on_when_they_are_done():
    async def scenario():
        desk = Desk()
        desk.fill()
        ((_, transport),) = desk.post(9)
        others = [asyncio.create_task(asyncio.sleep(0.03)) for _ in range(LENGTH)]
        desk.state.tasks.update(others)
        await settled()
        assert transport.statuses == []
        await asyncio.gather(*others)
        desk.state.tasks.clear()
        await asyncio.sleep(0.02)
        assert transport.statuses == [200]

    run(scenario)


@pytest.mark.parametrize(("idle", "closed"), [(4.0, False), (6.0, True)], ids=["below", "above"])
@pytest.mark.parametrize("statuses", [[200], [503], [200, 503]], ids=str)
def test_a_connection_is_closed_when_nothing_came_for_five_seconds_answered_or_refused(statuses, idle, closed):
    async def scenario():
        desk = Desk()
        protocol, transport = desk.connect()
        for status in statuses:
            protocol._idle_since -= 60
            if status == 503:
                desk.post(*range(LENGTH))
            protocol.data_received(POST % 9)
            await settled()
        assert transport.statuses == statuses
        assert protocol.timeout_keep_alive_task is not None
        protocol._idle_since -= idle
        protocol.timeout_keep_alive_handler()
        assert transport.closed is closed

    run(scenario)


@pytest.mark.parametrize("under_way", ["waits", "is set aside", "has half come"])
def test_a_connection_whose_request_is_under_way_is_not_idle(under_way):
    async def scenario():
        desk = Desk()
        ((protocol, transport),) = desk.post(8)
        await settled()
        if under_way == "is set aside":
            desk.fill()
        first = 20 if under_way == "has half come" else None
        protocol.data_received((POST % 9)[:first])
        protocol._idle_since -= 60
        protocol.timeout_keep_alive_handler()
        assert not transport.closed
        if first is not None:
            protocol.data_received((POST % 9)[first:])
        await settled()
        assert transport.statuses == [200, 200]
        protocol.timeout_keep_alive_handler()
        assert not transport.closed

    run(scenario)


def test_a_connection_has_one_clock_which_ends_with_it(monkeypatch):
    async def scenario():
        desk, clocks = Desk(), []
        protocol, transport = desk.connect()
        call_later = protocol.loop.call_later
        monkeypatch.setattr(protocol.loop, "call_later", lambda *args: clocks.append(call_later(*args)) or clocks[-1])
        for number in range(3):
            protocol.data_received(POST % number)
            await settled()
        assert transport.statuses == [200, 200, 200]
        assert len(clocks) == 1
        protocol.timeout_keep_alive_handler()
        assert len(clocks) == 2
        protocol.connection_lost(None)
        assert clocks[1].cancelled()

    run(scenario)


@pytest.mark.parametrize("statuses", [[200], [503], [200, 200], [503, 200]], ids=str)
def test_a_connection_keeps_nothing_of_what_was_answered(statuses):
    async def scenario():
        desk = Desk()
        protocol, transport = desk.connect()
        for status in statuses:
            if status == 503:
                desk.post(*range(LENGTH))
            protocol.data_received(POST % 9)
            await settled()
        assert transport.statuses == statuses
        kept = [value for value in vars(protocol).values() if isinstance(value, RequestResponseCycle | dict | list)]
        assert kept == [protocol.app_state]

    run(scenario)


def test_of_requests_in_one_piece_each_is_kept_until_it_is_answered():
    async def scenario():
        desk = Desk()
        protocol, transport = desk.connect()
        protocol.data_received(POST % 7 + POST % 8 + (POST % 9)[:-1])
        await settled()
        assert transport.statuses == [200, 200]
        protocol.data_received(b"}")
        await settled()
        assert transport.statuses == [200, 200, 200]
        assert desk.application.asked == [7, 8, 9]
        assert protocol.cycle is None

    run(scenario)


def test_a_connections_attributes_stay_within_the_object():
    """CPython keeps up to 30 attributes in the object itself; one more, and all move to a dictionary of their own."""

    async def scenario():
        desk = Desk()
        protocol, transport = desk.connect()
        protocol.data_received(POST % 1)
        await settled()
        desk.fill()
        protocol.data_received(POST % 2)
        await settled()
        assert transport.statuses == [200, 200]
        assert len(vars(protocol)) <= 30

    run(scenario)


UNUSUAL = {
    "one to be closed": b"POST /invocations HTTP/1.1\r\nconnection: close\r\nx-request-id: 9\r\ncontent-length: 2\r\n\r\n{}",
    "an old one": b"POST /invocations HTTP/1.0\r\nx-request-id: 9\r\ncontent-length: 2\r\n\r\n{}",
    "one in chunks": b"POST /invocations HTTP/1.1\r\nx-request-id: 9\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "two": POST % 9 + POST % 9,
}
CLOSED = ("one to be closed", "an old one")


@pytest.mark.parametrize("asked", list(UNUSUAL))
def test_unusual_requests_wait_for_their_turn_too(asked):
    async def scenario():
        desk = Desk()
        desk.fill()
        protocol, transport = desk.connect()
        protocol.data_received(UNUSUAL[asked])
        assert transport.statuses == []
        ((_, later),) = desk.post(10)
        await settled()
        answers = 2 if asked == "two" else 1
        assert transport.statuses == [200] * answers
        assert transport.closed is (asked in CLOSED)
        assert later.statuses == [200]
        assert desk.application.asked[:6] == [0, 1, 2, 3, 9, 10]

    run(scenario)


@pytest.mark.parametrize("asked", list(UNUSUAL))
def test_unusual_requests_are_refused_too(asked):
    async def scenario():
        desk = Desk()
        desk.post(*range(LENGTH))
        protocol, transport = desk.connect()
        protocol.data_received(UNUSUAL[asked])
        assert transport.statuses[:1] == [503]
        assert transport.closed is (asked in CLOSED)

    run(scenario)


def test_who_has_half_come_is_set_aside_and_then_watched_until_all_of_it_is_there():
    async def scenario():
        desk = Desk()
        desk.fill()
        protocol, transport = desk.connect()
        protocol.data_received((POST % 9)[:-1])
        await settled()
        assert desk.queue.aside_bytes == 0
        assert protocol._timer is not None, "cut off where the rest never comes"
        assert transport.statuses == []
        protocol.data_received(b"}")
        await settled()
        assert transport.statuses == [200]
        assert protocol._timer is None

    run(scenario)


def test_what_follows_a_request_set_aside_is_kept_only_while_there_is_memory_for_it(monkeypatch):
    monkeypatch.setattr(waiting, "ASIDE_BYTES", 2 * len(POST % 7))

    async def scenario():
        desk = Desk()
        desk.fill()
        ((protocol, transport),) = desk.post(7)
        protocol.data_received((POST % 8)[:-1])
        assert transport.statuses == []
        assert not transport.reading
        protocol.data_received(b"}" + POST % 9)
        assert transport.statuses[:1] == [503], "there is no room, neither aside nor in the queue"
        assert transport.reading
        await settled()
        assert desk.queue.aside_bytes == 0

    run(scenario)


def test_who_asks_by_get_is_answered_while_others_are_set_aside():
    async def scenario():
        desk = Desk()
        desk.fill()
        ((_, aside),) = desk.post(9)
        protocol, transport = desk.connect()
        protocol.data_received(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert aside.statuses == []
        assert len(desk.state.tasks) == 1
        await settled()
        assert transport.statuses == [204]

    run(scenario)


def test_who_waits_already_is_neither_refused_nor_set_aside_before_his_answer():
    async def scenario():
        desk = Desk()
        (first, *_), *_ = desk.post(*range(LENGTH))
        transport = first.transport
        first.data_received(POST % 9)
        assert transport.statuses == [], "the answer to the first request comes first"
        await settled()
        assert transport.written.index(b"x-request-id: 0") == transport.written.index(b"x-request-id")
        assert transport.statuses[0] == 200
        assert len(transport.statuses) == 2

    run(scenario)


def test_the_rest_of_a_request_is_no_request():
    async def scenario():
        desk = Desk()
        protocol, transport = desk.connect()
        head = b"POST /invocations HTTP/1.1\r\nx-request-id: 9\r\ncontent-length: %d\r\n\r\n" % len(POST % 8)
        protocol.data_received(head)
        desk.post(*range(LENGTH))
        protocol.data_received(POST % 8)
        await settled()
        assert transport.statuses == [200]
        assert desk.application.asked == [0, 1, 2, 3, 9]

    run(scenario)


@pytest.mark.parametrize("refusals", [0.0, 1.0], ids=["set aside", "refused"])
def test_who_came_in_time_is_watched_no_longer(refusals):
    async def scenario():
        desk = Desk()
        desk.fill()
        desk.queue._refusals_left = refusals
        protocol, transport = desk.connect()
        protocol._watch()  # as a connection over a network is from the first moment
        protocol.data_received(POST % 9)
        assert protocol._timer is None
        await settled()
        assert transport.statuses == [503 if refusals else 200]

    run(scenario)


def test_of_two_requests_that_waited_too_long_each_gets_its_answer():
    async def scenario():
        desk = Desk(deadline_s=0.01)
        desk.fill()
        protocol, transport = desk.connect()
        protocol.data_received(UNUSUAL["two"])
        protocol._since -= 1
        await settled()
        assert len(transport.statuses) == 2

    run(scenario)
