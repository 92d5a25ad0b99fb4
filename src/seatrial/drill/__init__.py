"""Drills: a scratch endpoint that is broken on purpose, what clients noticed, and how long it took to be safe again."""
