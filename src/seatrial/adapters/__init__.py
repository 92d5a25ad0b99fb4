"""Room 2: the adapters, one file for each thing outside: registry, endpoint, notifier."""
