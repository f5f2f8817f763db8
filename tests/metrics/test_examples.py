"""The examples in the docstrings are right, and every public function has one."""

from __future__ import annotations

import doctest
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module

import pytest

import metrics

MODULES = [
    module.name
    for module in pkgutil.walk_packages(metrics.__path__, "metrics.")
    if not module.ispkg
]
WITHOUT = {
    "metrics.masks.complaints.watch",
    "metrics.masks.faults.turned_by_tag",
    "metrics.masks.image.quiet",
    "metrics.masks.image.read_file",
    "metrics.masks.class_indices.encode_labels",  # beside examine_labels
    "metrics.masks.class_indices.read_labels",  # beside write_mask
    "metrics.masks.maps.write_map",  # in read_map's
    "metrics.masks.read.decode_bits",  # beside decode_mask
    "metrics.masks.read.decode_turned",
    "metrics.masks.read.is_turned",
    "metrics.masks.read.decode_grey",
    "metrics.masks.read.read_mask",
    "metrics.registry.frame_metrics",
    "metrics.registry.measured",
    "metrics.registry.take_maps",
}


def public(name: str) -> Iterator[tuple[str, str]]:
    """Each public function of a module, with its docstring."""
    for key, value in vars(import_module(name)).items():
        if inspect.isfunction(value) and value.__module__ == name and not key.startswith("_"):
            yield f"{name}.{key}", value.__doc__ or ""


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_right(name: str) -> None:
    found = doctest.testmod(import_module(name))
    assert found.failed == 0


@pytest.mark.parametrize("name", [name for name in MODULES if ".utils." not in name])
def test_every_public_function_has_one(name: str) -> None:
    without = {function for function, text in public(name) if ">>>" not in text}
    assert without <= WITHOUT
