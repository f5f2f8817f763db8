"""What is wrong with a model that was asked for."""

from __future__ import annotations

import click


class ModelError(click.ClickException):
    """An unknown model or encoder, weights that do not fit, or an input a network cannot take."""
