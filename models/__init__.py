"""Architectures and losses by name.

Importing this package does not import torch; the functions that build networks do.
"""

from __future__ import annotations

from models.encoders import encoder_names, normalisation, published_weights
from models.errors import ModelError
from models.origins import PublishedWeights, list_published, origin
from models.registry import (
    DEFAULT_ENCODER,
    ENSEMBLE,
    PAPER_NETWORKS,
    PAPER_ORDER,
    Architecture,
    create,
    get,
    names,
    paper_order,
    smallest_batch,
)
from models.summary import Description, describe, outline, try_out
from models.weights import check_weights

__all__ = [
    "DEFAULT_ENCODER",
    "ENSEMBLE",
    "PAPER_NETWORKS",
    "PAPER_ORDER",
    "Architecture",
    "Description",
    "ModelError",
    "PublishedWeights",
    "check_weights",
    "create",
    "describe",
    "encoder_names",
    "get",
    "list_published",
    "names",
    "normalisation",
    "origin",
    "outline",
    "paper_order",
    "published_weights",
    "smallest_batch",
    "try_out",
]
