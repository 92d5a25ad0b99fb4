"""A real S3 protocol server, and a door in front of it that can be slammed."""

import contextlib
import socket
import threading
from urllib.parse import urlsplit

BUSY = b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@contextlib.contextmanager
def s3_server():
    """The address of moto's server, with a bucket `logs`."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client("s3", endpoint_url=address, aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1")
    client.create_bucket(Bucket="logs")
    try:
        yield address, client
    finally:
        server.stop()


class Door:
    """A port that leads to the server, one request a connection. `mode` says what happens to the next ones:

    "open"; "busy" answers 503; "broken" answers 500; "torn" closes in the middle of the request; "slow" takes it and does not answer;
    "mute" does all that is asked and loses the answer.
    """

    def __init__(self, address):
        self.target = (urlsplit(address).hostname, urlsplit(address).port)
        self.mode = "open"
        self.passed = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.passed += 1
            threading.Thread(target=self._pass, args=(client, self.mode), daemon=True).start()

    def _pass(self, client, mode):
        with client, contextlib.suppress(OSError):
            client.settimeout(20)
            head = client.recv(65536)
            if mode == "torn":
                return
            if mode in ("busy", "broken"):
                self._read_body(client, head)
                client.sendall(BUSY if mode == "busy" else BROKEN)
                return
            if mode == "slow":
                while client.recv(65536):
                    pass
                return
            with socket.create_connection(self.target) as server:
                server.sendall(head.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))
                threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
                while data := server.recv(65536):
                    if mode == "open":
                        client.sendall(data)  # at once: a client that was promised "100 Continue" waits a second for it
            client.shutdown(socket.SHUT_RDWR)  # the thread that forwards still holds it

    @staticmethod
    def _forward(client, server):
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)

    @staticmethod
    def _read_body(client, head):
        lines = head.lower().partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in lines[0].split(b"\r\n") if line.startswith(b"content-length")), 0)
        if b"100-continue" in lines[0]:
            return
        left = length - len(lines[2])
        while left > 0 and (data := client.recv(65536)):
            left -= len(data)

    def close(self):
        self.listener.close()
