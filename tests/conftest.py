"""What tests of several folders start from."""

import os
import signal

from tests.mlflow_server import mlflow_server, signed_in  # noqa: F401 - one server a process: imported again, a fixture is another one

# Tests run side by side on tables of a few rows, where threads mostly wait for each other; `rerun` is held to one thread and to two.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background job ignores Ctrl-C, and so would whatever tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
