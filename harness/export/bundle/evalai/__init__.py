"""EvalAI imports this package, under a name of its own, and calls ``evaluate``."""

from importlib import import_module

evaluate = import_module(f"{__name__}.main").evaluate
