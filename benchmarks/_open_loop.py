"""An open-loop client: requests leave at a fixed rate whether or not answers come, and each is measured from when it was due.

A client that waits for an answer before it asks again is slowed down by the server that it measures, and never sees what its
users see. This one keeps time: a request that had to wait for a free connection has waited since it was due.
"""

from __future__ import annotations

import os
import select
import socket
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

RECEIVED = 65_536
LENGTH = b"\r\ncontent-length: "


@dataclass(slots=True, kw_only=True)
class Offered:
    """What became of the requests: for each that was answered when it was due and when it was done (seconds), and its status."""

    rate: float
    seconds: float
    planned: int = 0
    due: array[float] = field(default_factory=lambda: array("d"))
    done: array[float] = field(default_factory=lambda: array("d"))
    status: array[int] = field(default_factory=lambda: array("h"))
    broken: int = 0
    told_when: int = 0

    @property
    def statuses(self) -> Counter[int]:
        """How many answers of each status."""
        return Counter(self.status)

    @property
    def unanswered(self) -> int:
        """Requests that were due and got no answer."""
        return self.planned - len(self.status)

    def good_put(self, *, start: float = 0.0, end: float | None = None) -> float:
        """Answers of status 200 a second that came between two moments."""
        last = self.seconds if end is None else end
        return sum(1 for status, done in zip(self.status, self.done, strict=True) if status == 200 and start <= done < last) / (
            last - start
        )

    def latencies(self, *, start: float = 0.0, end: float = float("inf")) -> list[float]:
        """Milliseconds of the good answers to requests that were due between two moments, sorted."""
        taken = zip(self.status, self.due, self.done, strict=True)
        return sorted((done - due) * 1000 for status, due, done in taken if status == 200 and start <= due < end)


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the sorted values lie; NaN without values."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def request(body: bytes, *, path: str = "/invocations") -> tuple[bytes, bytes]:
    """A request as bytes, before and after the eight digits of its id."""
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\nx-request-id: bench-"
    return head.encode(), b"\r\n\r\n" + body


class Client:
    """Connections to one port of this machine or one unix socket, kept open between offers; on each at most one request is under way."""

    def __init__(self, address: int | Path, *, connections: int) -> None:
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._address = address
        self._free = deque(self._connect() for _ in range(connections))
        self._number = 0

    def close(self) -> None:
        """Close all connections."""
        for one in self._sockets.values():
            one.close()
        self._epoll.close()

    def _connect(self) -> socket.socket:
        if isinstance(self._address, Path):
            one = socket.socket(socket.AF_UNIX)
            one.connect(str(self._address))
        else:
            one = socket.create_connection(("127.0.0.1", self._address), timeout=10)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.setblocking(False)
        self._sockets[one.fileno()] = one
        self._epoll.register(one, select.EPOLLIN)
        return one

    def offer(
        self,
        parts: tuple[bytes, bytes],
        *,
        rate: float,
        seconds: float,
        grace: float = 5.0,
        patience: float = float("inf"),
        tick: Callable[[], None] | None = None,
    ) -> Offered:
        """Ask `rate` times a second for so long, then wait up to `grace` seconds for what is under way; `tick` is called each second.

        What finds no free connection within `patience` seconds is not asked, and counts as unanswered.
        """
        before, after = parts
        found = Offered(rate=rate, seconds=seconds, planned=int(rate * seconds))
        free, sockets = self._free, self._sockets
        due_of: dict[int, float] = {}
        start, sent, now, next_tick = time.perf_counter(), 0, 0.0, 1.0
        while now < seconds or (due_of and now < seconds + grace):
            if now < seconds:
                wanted = int(now * rate) + 1
                sent = max(sent, wanted - int(patience * rate)) if patience < now else sent
                while sent < wanted and free:
                    one = free.popleft()
                    due_of[one.fileno()] = sent / rate
                    self._send(one, b"%b%08d%b" % (before, self._number, after))
                    sent += 1
                    self._number += 1
            pause = sent / rate - now if free and now < seconds else 0.05
            for descriptor, _ in self._answers(pause):
                self._receive(sockets[descriptor], due_of, found, start)
            now = time.perf_counter() - start
            if tick is not None and now >= next_tick:
                next_tick += 1.0
                tick()
        for descriptor in list(due_of):
            self._replace(sockets[descriptor])
        return found

    def _answers(self, seconds: float) -> list[tuple[int, int]]:
        """The connections on which something came, waited for so long at most.

        epoll sleeps whole milliseconds, select microseconds. A client that looked all the time instead would take a core for itself,
        and where two are all that a virtual machine has, its host may hold up a machine that takes both.
        """
        if seconds > 0:
            select.select([self._epoll], [], [], seconds)
        return self._epoll.poll(0)

    def _send(self, one: socket.socket, data: bytes) -> None:
        """Requests are smaller than a socket's buffer; a connection that has ended says so where the answer is read."""
        with suppress(ConnectionError):
            one.send(data)

    def _receive(self, one: socket.socket, due_of: dict[int, float], found: Offered, start: float) -> None:
        data = _whole_answer(one)
        due = due_of.pop(one.fileno(), None)
        if due is None or not data:
            found.broken += due is not None
            self._replace(one)
            return
        status = int(data[9:12])
        found.due.append(due)
        found.done.append(time.perf_counter() - start)
        found.status.append(status)
        if status == 503 and b"retry-after:" in data:
            found.told_when += 1
        self._free.append(one)

    def _replace(self, one: socket.socket) -> None:
        """Another connection in place of one that ended or still owes an answer."""
        self._epoll.unregister(one)
        del self._sockets[one.fileno()]
        if one in self._free:
            self._free.remove(one)
        one.close()
        self._free.append(self._connect())


def _whole_answer(one: socket.socket) -> bytes:
    """The answer whose first bytes are there; empty where the connection ended."""
    data = b""
    while True:
        try:
            piece = one.recv(RECEIVED)
        except BlockingIOError:
            select.select([one], [], [], 5)
            continue
        except ConnectionError:
            return b""
        data += piece
        head = data.find(b"\r\n\r\n")
        if not piece:
            return b""
        if head > 0:
            at = data.find(LENGTH) + len(LENGTH)
            if len(data) >= head + 4 + int(data[at : data.find(b"\r", at)]):
                return data


def pin(process: int, core: int) -> None:
    """Keep a process, with all its threads and those that it will start, on one core; nothing where the machine has only one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        for thread in Path(f"/proc/{process or os.getpid()}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {cores[core % len(cores)]})
