"""Lists the benchmarks: `nox -s bench -- NAME`."""

import importlib
import pkgutil

import benchmarks

for module in pkgutil.iter_modules(benchmarks.__path__):
    if not module.name.startswith("_"):
        doc = importlib.import_module(f"benchmarks.{module.name}").__doc__ or ""
        print(f"{module.name:<14}{doc.strip().splitlines()[0]}")
