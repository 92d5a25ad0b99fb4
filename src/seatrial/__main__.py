"""`python -m seatrial` is the same as the command `seatrial`."""

from seatrial.cli import main

main()
