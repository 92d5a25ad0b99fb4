"""Seatrial: the release process for models kept in DVC.

Importing this package loads nothing heavy; each module imports what it needs where it needs it.
"""

__version__ = "0.1.0"
