"""Room 5: what each command does, one module a verb: load, ask a pure module, save, act."""
