"""What tests of several folders start from."""

from tests.mlflow_server import mlflow_server, signed_in  # noqa: F401 - one server a process: imported again, a fixture is another one
