"""Weights of 8 bits: a smaller file whose masks are nearly the same, or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.export.int8 import check, quantise
from metrics.utils.errors import UserError


def test_a_convolution_is_rounded_and_computes_nearly_the_same(tmp_path: Path) -> None:
    path = tmp_path / "one.onnx"
    weights = np.random.default_rng(0).normal(size=(32, 32, 3, 3)).astype(np.float32)
    shape = [1, 32, 16, 16]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    before = path.stat().st_size
    images = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"x": images})

    quantise(path)

    (found,) = onnxruntime.InferenceSession(path).run(None, {"x": images})
    assert path.stat().st_size < before / 3
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
    assert not np.array_equal(found, expected)
    assert [file.name for file in tmp_path.iterdir()] == ["one.onnx"]


def test_more_than_one_pixel_in_a_thousand_is_refused() -> None:
    check(10, 10_000)
    with pytest.raises(UserError, match=r"11 of 10000 pixels \(0.11%\) get another class"):
        check(11, 10_000)
