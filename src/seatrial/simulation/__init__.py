"""A year in minutes: the sample replayed through time by a scripted story, through a scratch endpoint."""
