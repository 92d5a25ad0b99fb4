"""All drills of a game day, in the order in which they are carried out."""

from __future__ import annotations

from seatrial.drill.accidents import ACCIDENTS
from seatrial.drill.challengers import CHALLENGERS
from seatrial.drill.controllers import CONTROLLERS

DRILLS = (*CHALLENGERS, *ACCIDENTS, *CONTROLLERS)
