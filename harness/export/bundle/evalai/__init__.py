"""EvalAI imports this package and calls ``evaluate``."""

from .main import evaluate

__all__ = ["evaluate"]
