"""The process that sends one message to every address (`python -m seatrial.notify_send`, the message as JSON on its input).

It ends itself at the time limit, whatever hangs. 0 all arrived · 1 not all, with one line on its output that names no address.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

TONES = {"promoted": "success", "held": "warning", "rolled_back": "failure", "error": "failure", "alert": "warning"}


def main() -> None:
    """Read, send, and end without waiting for threads that hang."""
    told = json.load(sys.stdin)
    timeout = float(told["timeout_s"])
    limit = threading.Timer(timeout + 5, os._exit, (1,))  # for an import or a name service that hangs
    limit.daemon = True
    limit.start()
    try:
        problems = send(told, timeout)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is one line for the log
        problems = [f"{type(error).__name__} while sending"]
    if problems:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        print(f"{now} {told['kind']}: {'; '.join(problems)}", flush=True)
    os._exit(1 if problems else 0)


def send(told: Mapping[str, Any], timeout: float) -> list[str]:
    """Send to all addresses at once; gives one sentence for each that did not take the message in time."""
    import apprise

    services, problems = [], []
    for number, url in enumerate(told["urls"], 1):
        service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        if service is None:
            problems.append(f"address {number} is none that Apprise knows")
        else:
            services.append((f"address {number} ({service.service_name})", service))
    pool = ThreadPoolExecutor(max_workers=max(1, len(services)))
    tone = TONES.get(told["kind"], "info")
    futures = {pool.submit(service.notify, body=told["body"], title=told["title"], notify_type=tone): name for name, service in services}
    done, late = wait(futures, timeout=timeout)
    problems += [f"{futures[one]} did not take it within {timeout:g} s" for one in late]
    problems += [f"{futures[one]} did not take it" for one in done if one.exception() is not None or not one.result()]
    return sorted(problems)


if __name__ == "__main__":
    main()
