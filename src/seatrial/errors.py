"""Every exception that Seatrial raises on purpose.

    SeatrialError                 exit 2: somebody has to mend something
    ├── UsageError                the command line
    ├── ParamsError               params.yaml (carries every problem, each with file and line)
    ├── ContractError             data/contract.yaml or data/reference.json
    ├── DataError                 a table that cannot be read or does not fit
    ├── BundleError               a bundle that is missing, incomplete or not what its digest says
    │   └── BytesGoneError        a registered version whose files can no longer be had
    ├── VerdictError              a verdict file that is missing, torn or of another kind
    ├── PipelineError             git, DVC or a stage
    ├── RegistryError             the model registry cannot be reached, or answers something else than expected
    ├── EndpointError             supervisord, Envoy, a model server, the port
    ├── RequestError              a request to the model server, answered with its HTTP status
    ├── BusyError                 another controller holds the lock (names it)
    └── RefusedError              exit 1: a decision, not a fault: what was asked for is not allowed

A message says what is wrong, where, the value seen, and what to do next.
"""

from __future__ import annotations


class SeatrialError(Exception):
    """The root: `exit_code` is what the command line returns, `hint` what to do next."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class UsageError(SeatrialError):
    """The command line asks for something that does not exist."""


class ParamsError(SeatrialError):
    """params.yaml is not usable; `problems` holds one sentence for each thing to mend."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        shown = list(problems[:10])
        if len(problems) > 10:
            shown.append(f"… and {len(problems) - 10} more")
        super().__init__("\n".join(shown))
        self.problems = problems


class ContractError(SeatrialError):
    """The data contract or the reference profile is not usable."""


class DataError(SeatrialError):
    """A table cannot be read, or is not the table that params.yaml describes."""


class BundleError(SeatrialError):
    """A bundle is missing, incomplete, or its bytes are not those of its digest."""


class BytesGoneError(BundleError):
    """A version stands in the registry, and its files are nowhere: neither in the store nor where the registry keeps them."""


class VerdictError(SeatrialError):
    """A verdict file is missing, torn, or of another kind."""


class PipelineError(SeatrialError):
    """git, DVC or one of its stages did not do what was asked."""


class RegistryError(SeatrialError):
    """The model registry cannot be reached, or does not hold what it should."""


class EndpointError(SeatrialError):
    """The local endpoint (supervisord, Envoy, a model server) cannot do what was asked."""


class RequestError(SeatrialError):
    """A request to the model server that cannot be answered; `column` and `row` (from 0) name the place, where there is one."""

    def __init__(self, message: str, *, status: int = 400, column: str | None = None, row: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.column = column
        self.row = row


class BusyError(SeatrialError):
    """Another process holds the lock; the message names it."""


class RefusedError(SeatrialError):
    """What was asked for is not allowed by the evidence: a decision, not a fault."""

    exit_code = 1
