"""Seatrial: the release process for models kept in DVC.

Importing this package loads nothing heavy; each module imports what it needs where it needs it. It tells nobody: ONNX Runtime would
send a word to its makers from every process that loads it, and leave a file in the temporary folder.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
