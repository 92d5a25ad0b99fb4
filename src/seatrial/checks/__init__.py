"""Room 1: the checks, pure functions from evidence to results, all of one shape."""
