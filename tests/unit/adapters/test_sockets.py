"""The socket folder: short, private, found again."""

import os
import socket
import threading
from pathlib import Path

import pytest

from seatrial.adapters.sockets import LONGEST, fetch, folder_name, open_folder, recorded_folder
from seatrial.errors import EndpointError


@pytest.fixture
def base(tmp_path):
    base = Path("/tmp") / f"st-{os.getpid()}"
    base.mkdir()
    yield base
    for path in sorted(base.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    base.rmdir()


def test_the_folder_is_private_and_recorded(tmp_path, base):
    record = tmp_path / "endpoint/sockets"
    folder = open_folder(tmp_path, record, {"XDG_RUNTIME_DIR": str(base)})
    assert folder == base / folder_name(tmp_path, os.getuid())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert recorded_folder(tmp_path, record) == folder


def test_the_recorded_folder_is_found_whatever_the_environment_says(tmp_path, base):
    record = tmp_path / "sockets"
    folder = open_folder(tmp_path, record, {"XDG_RUNTIME_DIR": str(base)})
    assert open_folder(tmp_path, record, {"TMPDIR": "/var/tmp"}) == folder


def test_a_record_that_came_with_a_copied_home_is_not_followed(tmp_path, base):
    record = tmp_path / "sockets"
    open_folder(tmp_path / "one", record, {"XDG_RUNTIME_DIR": str(base)})
    assert recorded_folder(tmp_path / "two", record) is None


@pytest.mark.parametrize("content", [b"", b"relative", b"/tmp/somewhere-else", b"\xff"])
def test_a_strange_record_is_not_followed(tmp_path, content):
    (tmp_path / "sockets").write_bytes(content)
    assert recorded_folder(tmp_path, tmp_path / "sockets") is None


def test_a_base_that_is_missing_or_too_long_is_passed_over(tmp_path, base):
    long = base / ("x" * LONGEST)
    long.mkdir()
    env = {"XDG_RUNTIME_DIR": str(base / "missing"), "TMPDIR": str(long)}
    folder = open_folder(tmp_path, tmp_path / "sockets", env)
    assert folder.parent == Path("/tmp")
    folder.rmdir()


def test_a_folder_that_others_can_enter_is_refused(tmp_path, base):
    (base / folder_name(tmp_path, os.getuid())).mkdir(mode=0o755)
    with pytest.raises(EndpointError, match="only this user can enter"):
        open_folder(tmp_path, tmp_path / "sockets", {"XDG_RUNTIME_DIR": str(base)})


def test_a_link_is_refused(tmp_path, base):
    target = base / "target"
    target.mkdir(mode=0o700)
    (base / folder_name(tmp_path, os.getuid())).symlink_to(target)
    with pytest.raises(EndpointError, match="only this user can enter"):
        open_folder(tmp_path, tmp_path / "sockets", {"XDG_RUNTIME_DIR": str(base)})


def test_two_homes_and_two_users_have_two_folders(tmp_path):
    assert len({folder_name(tmp_path / home, uid) for home in "ab" for uid in (1, 2)}) == 4


def test_nobody_at_the_socket_is_no_answer(base):
    assert fetch(base / "missing", "/") is None


def test_an_answer_comes_with_its_status(base):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(base / "s"))
        listener.listen()

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 418 Teapot\r\ncontent-length: 2\r\n\r\nhi")

        thread = threading.Thread(target=answer)
        thread.start()
        assert fetch(base / "s", "/ping") == (418, b"hi")
        thread.join()


def test_a_socket_that_speaks_no_http_is_no_answer(base):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(base / "s"))
        listener.listen()

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"nonsense\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert fetch(base / "s", "/") is None
        thread.join()


def test_who_reads_the_record_finds_the_folder_while_others_open_it(tmp_path, base):
    record, env = tmp_path / "endpoint/sockets", {"XDG_RUNTIME_DIR": str(base)}
    folder, found, ended = open_folder(tmp_path, record, env), set(), threading.Event()

    def read():
        while not ended.is_set():
            found.add(recorded_folder(tmp_path, record))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(200):
        open_folder(tmp_path, record, env)
    ended.set()
    reader.join()
    assert found == {folder}
