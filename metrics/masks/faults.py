"""A mask file as it is stored, and all that is wrong with it.

Datasets, true masks and packages are held to the same findings. Whatever readers see differently
(16 bits, transparency, an orientation tag) or would binarise to something that was not meant
(class numbers, probabilities, colours) is a problem. What JPEG and resizing do to an edge is none.
"""

from __future__ import annotations

import io
from typing import Any, Final, Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from metrics.masks.image import TIFF, decode, quiet
from metrics.masks.png import decode_png

Kind = Literal["black and white", "grey", "coloured"]
_Bytes = npt.NDArray[np.uint8]

RULES: Final = 2
"""Raised when other masks pass or pixels are read otherwise: what was made from masks that were
read by earlier rules (caches, evaluations) is made anew. 1 read whatever OpenCV decoded."""

MAX_CHANNEL_SPREAD: Final = 32
"""How far the channels of a grey mask may differ; those of a JPEG stay well below."""

# Around an edge JPEG of quality 95 leaves values of 1..7 and 248..254, and coarser settings and
# resizing a thin rim of others. Only an area of them that is wider than any rim is a problem.
GREY: Final = (32, 223)
AREA_SIDE: Final = 9
FAINT_SIDE: Final = 17
FAINT_SIDE_LOSSLESS: Final = 3

WHITE_FROM: Final = 128
"""Values from here on are white, those below black."""

_JPEG: Final = b"\xff\xd8"
_EXIF: Final = (b"Exif\0\0", b"eXIf", b"EXIF")  # JPEG and TIFF, PNG, WebP
_ORIENTATION: Final = 274
_UPRIGHT: Final = (0, 1)
_OPAQUE: Final = 255

_EXPECTED: Final[dict[Kind, str]] = {
    "black and white": "a mask of black (0) and white (255)",
    "grey": "a mask of grey values",
    "coloured": "a mask of the classes' colours",
}
_TURNED: Final = "an orientation tag, which readers treat differently (save it upright)"
_CUT_OUT: Final = (
    "an alpha channel that is not opaque everywhere, so that readers see different masks (save it "
    "without alpha)"
)
_INDICES: Final = (
    "the values 0 and 1 alone, which is all black (save it as 0 and 255, or name the value with "
    "'harness init --class polyp=1')"
)
_CLASSES: Final = "where values mean classes, name each with 'harness init --class NAME=VALUE'"


class Examined(NamedTuple):
    """A decoded mask file.

    Attributes:
        pixels: uint8 (H, W); with ``coloured`` (H, W, 3), in OpenCV's order, BGR.
        problem: All that is wrong in one sentence; empty where nothing is.
        has_alpha: Whether it has an alpha channel, if only an opaque one.
    """

    pixels: _Bytes
    problem: str
    has_alpha: bool


def examine(data: bytes, *, kind: Kind = "black and white", name: str = "mask") -> Examined:
    """Decode a mask and find what is wrong with it.

    ``black and white`` masks have one class; the values or colours of the other kinds mean classes
    and are checked by ``metrics.masks.class_indices``. ``name`` is what messages call it.

    Raises:
        UserError: It is no image, truncated, damaged or too large.

    Example:
        >>> data = cv2.imencode(".png", np.array([[0, 1]], dtype=np.uint8))[1].tobytes()
        >>> examine(data).problem[:71]
        'expected a mask of black (0) and white (255), but it has the values 0 a'
        >>> examine(data, kind="grey").problem
        ''
    """
    plain = decode_png(data)
    if plain is not None:  # grey, of 8 bits, without alpha and tags
        pixels, found, has_alpha = plain, [], False
    else:
        pixels, depth = _to_8_bits(decode(data, cv2.IMREAD_UNCHANGED, name=name))
        alpha = alpha_of(data)
        has_alpha = alpha is not None
        found = [depth, _TURNED if turned_by_tag(data) else "", alpha_problem(alpha)]
    if kind == "coloured":
        pixels = pixels[..., :3] if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    elif pixels.ndim == 3:
        found.append(colour_problem(pixels))
        pixels = np.ascontiguousarray(pixels[..., 0])
    if kind == "black and white":
        found.append(_grey_problem(pixels, lossy=data.startswith(_JPEG)))
    problems = "; ".join(filter(None, found))
    told = f"expected {_EXPECTED[kind]}, but it has {problems}" if problems else ""
    return Examined(pixels, told, has_alpha)


def alpha_of(data: bytes) -> _Bytes | None:
    """The opacity of each pixel of a PNG, TIFF or BMP, uint8 (H, W); ``None`` without any.

    Pillow reads it: OpenCV leaves out that of grey TIFFs, of BMPs and of transparent greys in PNGs.

    Example:
        >>> cut_out = np.array([[[255, 255, 255, 0]]], dtype=np.uint8)
        >>> alpha_of(cv2.imencode(".png", cut_out)[1].tobytes()).tolist()
        [[0]]
    """
    if data.startswith(_JPEG):
        return None
    try:
        with quiet(), Image.open(io.BytesIO(data)) as image:
            if not image.has_transparency_data:
                return None
            return np.asarray(image.convert("RGBA").getchannel("A"), dtype=np.uint8)
    except MemoryError:
        raise
    except Exception:  # Pillow raises almost anything for a damaged file
        return None


def alpha_problem(alpha: _Bytes | None) -> str:
    """Why an alpha channel is a problem; empty for an opaque one.

    Example:
        >>> alpha_problem(np.full((2, 2), 255, dtype=np.uint8))
        ''
    """
    return _CUT_OUT if alpha is not None and np.any(alpha != _OPAQUE) else ""


def colour_problem(pixels: _Bytes) -> str:
    """Colours of a mask that should be grey, uint8 (H, W, channels); empty where it is.

    Example:
        >>> colour_problem(np.array([[[0, 0, 255]]], dtype=np.uint8))[:38]
        'colours (channels differ by up to 255 '
    """
    if pixels.shape[2] < 3:
        return ""
    first, second, third = cv2.split(pixels[..., :3])
    spread = int(max(cv2.norm(first, other, cv2.NORM_INF) for other in (second, third)))
    if spread <= MAX_CHANNEL_SPREAD:
        return ""
    return (
        f"colours (channels differ by up to {spread} of 255; where they mean classes, name "
        "each with 'harness init --class NAME=#RRGGBB')"
    )


def _to_8_bits(stored: npt.NDArray[Any]) -> tuple[_Bytes, str]:
    """The pixels as 8 bits, and why that loses something; '' where it does not."""
    if stored.dtype == np.uint8:
        return stored, ""
    if stored.dtype == np.uint16:
        high: _Bytes = (stored >> 8).astype(np.uint8)
        if np.array_equal(high * np.uint16(257), stored):  # 0 and 65535, say
            return high, ""
    message = (
        f"{stored.dtype} values from {stored.min():g} to {stored.max():g} instead of 8 bits a "
        "channel (save it as 0 and 255 in 8 bits)"
    )
    return np.zeros(stored.shape, np.uint8), message


def turned_by_tag(data: bytes) -> bool:
    """Whether an EXIF or TIFF tag says that an encoded image's pixels are not upright."""
    if data[:4] not in TIFF and not any(mark in data for mark in _EXIF):
        return False
    try:
        with quiet(), Image.open(io.BytesIO(data)) as image:
            return image.getexif().get(_ORIENTATION, 1) not in _UPRIGHT
    except Exception:  # as above; and for one that is too large
        return False


def _grey_problem(grey: _Bytes, *, lossy: bool) -> str:
    """Values that are neither black nor white, uint8 (H, W); empty where there are none."""
    brightest = int(grey.max())
    side = FAINT_SIDE if lossy else FAINT_SIDE_LOSSLESS
    if brightest == 1:
        return _INDICES
    if brightest < WHITE_FROM and _has_area_of(grey, 1, brightest, side):
        none = f"values up to {brightest} only, so that no pixel counts as polyp"
        return f"{none} (white is 255; {_CLASSES})"
    if _has_area_of(grey, *GREY, AREA_SIDE):
        return f"an area of greys between {GREY[0]} and {GREY[1]} ({_CLASSES})"
    if _has_area_of(grey, 1, GREY[0] - 1, FAINT_SIDE):
        return f"an area of values between 1 and {GREY[0] - 1}, which is black to some readers"
    return ""


def _has_area_of(grey: _Bytes, low: int, high: int, side: int) -> bool:
    """Whether a square of ``side`` by ``side`` pixels has values from low to high alone."""
    # Such a square holds 2 by 2 points of a grid of half its side. Most masks have none there, so
    # that a look at these points is enough.
    step = side // 2
    points = np.ascontiguousarray(grey[::step, ::step])
    if not has_area(cv2.inRange(points, (low,), (high,)) > 0, 2):
        return False
    return has_area(cv2.inRange(grey, (low,), (high,)) > 0, side)


def has_area(pixels: npt.NDArray[np.bool_], side: int) -> bool:
    """Whether a square of ``side`` by ``side`` pixels is set somewhere.

    Example:
        >>> has_area(np.ones((3, 3), dtype=bool), 3), has_area(np.eye(3, dtype=bool), 2)
        (True, False)
    """
    if np.count_nonzero(pixels) < side * side:
        return False
    square = np.ones((side, side), np.uint8)
    eroded = cv2.erode(
        pixels.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=(0,)
    )
    return bool(np.any(eroded))
