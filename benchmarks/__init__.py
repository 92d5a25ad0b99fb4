"""Each published figure, as a command that measures it beside a peer in one run: `nox -s bench -- NAME`."""
