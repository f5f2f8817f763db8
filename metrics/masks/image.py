"""Images, frames and masks alike: the size from the header, pixels from files that are whole.

OpenCV decodes, as the organisers' evaluator does. It fills in what a truncated file lacks without
a word, so the end of the file is looked for first; where it is not found, Pillow, which complains,
decides. What is damaged in its middle is told by the decoder's own complaints. TIFFs that Pillow
refuses to open are left to tifffile.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from metrics.masks.complaints import jpeg_damage, watch
from metrics.utils.errors import UserError

MAX_PIXELS: Final = 100_000_000
"""Larger images are refused from their header, before anything is decoded."""

RGB_AS_STORED: Final = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
"""Flags for three channels of 8 bits; an EXIF orientation is not followed."""

TIFF: Final = (b"II*\0", b"MM\0*")  # how one begins, by the order of its bytes
_TIFF_CHUNKS: Final = ((273, 279), (324, 325))  # offsets and byte counts of strips, of tiles
_BITS: Final = {"I": "32-bit integers", "F": "32-bit floating point", "I;16": "16 bits"}
_READ_BY_TIFFFILE: Final = ("NONE", "ADOBE_DEFLATE", "DEFLATE", "PACKBITS", "LZMA")
_JPEG: Final = ("JPEG", "MPO")
_STILL: Final = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF")
_PNG_BITS: Final = 24  # the place in the file
_TIFF_BITS: Final = 258  # the tag
_DARK: Final = 16  # what is left in 8 bits of 12 bits that are stored as 16
_PNG_END_BYTES: Final = 64
_WARNINGS: Final = threading.Lock()


def read_file(path: str | Path) -> bytes:
    """A file's bytes.

    Raises:
        UserError: It cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def is_still(path: Path) -> bool:
    """Whether a file, whatever its name, is a single picture that :func:`decode` reads.

    Example:
        >>> is_still(Path(__file__))
        False
    """
    try:
        with quiet(), Image.open(path, formats=_STILL) as image:
            return getattr(image, "n_frames", 1) == 1
    except Exception:  # Pillow raises almost anything for a damaged file
        return False


def read_size(path: str | Path) -> tuple[int, int]:
    """Height and width in pixels from an image's header; no pixel is decoded.

    Raises:
        UserError: The file cannot be read, is no image, or has more than ``MAX_PIXELS``.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.png")
        ...     _ = path.write_bytes(cv2.imencode(".png", np.zeros((3, 4)))[1].tobytes())
        ...     read_size(path)
        (3, 4)
    """
    try:
        with Path(path).open("rb") as stream:
            try:
                with _header(stream, name=str(path)) as image:
                    return image.height, image.width
            except UserError:
                stream.seek(0)
                if stream.read(4) not in TIFF:
                    raise
                return _odd_tiff(stream, name=str(path), pixels=False).shape[:2]
    except OSError as error:
        raise _unreadable(path, error) from error


def decode(data: bytes, flags: int, *, name: str) -> npt.NDArray[Any]:
    """Decode an image that is in memory.

    ``flags`` are OpenCV's, such as ``RGB_AS_STORED`` or ``cv2.IMREAD_UNCHANGED``; ``name`` is what
    messages call it. The array is (H, W) or (H, W, channels), of 8 bits if flags ask for colour.

    Raises:
        UserError: It is no image, truncated, damaged, or has more than ``MAX_PIXELS``.

    Example:
        >>> blue = np.full((1, 1, 3), (255, 0, 0), dtype=np.uint8)  # OpenCV's order, BGR
        >>> decode(cv2.imencode(".png", blue)[1].tobytes(), RGB_AS_STORED, name="blue.png")
        array([[[  0,   0, 255]]], dtype=uint8)
    """
    try:
        image = _header(io.BytesIO(data), name=name)
    except UserError:
        if data[:4] not in TIFF:
            raise
        colours = _odd_tiff(io.BytesIO(data), name=name)
        return colours if flags == RGB_AS_STORED else np.ascontiguousarray(colours[..., ::-1])
    with image:
        _refuse_several(image, name=name)
        with _refusing(name):
            is_whole = _has_end(data, image)
        if not is_whole:
            if image.format == "TIFF":
                raise _damaged(name, "data lies beyond the end of the file")
            _load(image, name=name)
        try:
            pixels, said = watch(lambda: cv2.imdecode(np.frombuffer(data, np.uint8), flags))
        except cv2.error:
            pixels, said = None, ""
        if damage := jpeg_damage(said):
            raise _damaged(name, damage)
        if said and image.format not in _JPEG:
            _load(image, name=name)
    if pixels is None:
        raise _not_decoded(image, name)
    if flags == RGB_AS_STORED:
        _refuse_dark(pixels, data, image, name=name)
    return np.asarray(pixels)


def _header(stream: BinaryIO, *, name: str) -> Image.Image:
    """The image as Pillow sees it before it decodes a pixel."""
    try:
        with quiet():
            image = Image.open(stream)
    except Image.DecompressionBombError as error:
        raise _too_large(name, "more") from error
    except Exception as error:  # of whatever kind, for a damaged file
        stream.seek(0)
        what = "cannot be recognised as an image" if stream.read(1) else "is empty"
        raise UserError(
            f"{name}: expected a JPEG, PNG, TIFF or BMP image, but the file {what}. "
            "Replace it with a whole copy."
        ) from error
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(name, f"{image.width} x {image.height}")
    return image


def _refuse_several(image: Image.Image, *, name: str) -> None:
    """Raise for a stack or an animation, of which only the first image would be read."""
    if image.format in _JPEG:
        return
    size, is_thumbnail = image.size, False
    with _refusing(name), quiet():
        count = getattr(image, "n_frames", 1)
        if count > 1:
            image.seek(1)
            is_thumbnail = image.size != size
            image.seek(0)
    if count > 1 and not is_thumbnail:
        raise UserError(
            f"{name}: a {image.format} of {count} images, of which only the first would be read. "
            "Save each one as a file of its own."
        )


def _refuse_dark(pixels: npt.NDArray[Any], data: bytes, image: Image.Image, *, name: str) -> None:
    """Raise where 8 bits keep next to nothing of a PNG or TIFF of 16 bits a channel."""
    bits = data[_PNG_BITS] if image.format == "PNG" else 8
    if image.format == "TIFF":
        bits = max(getattr(image, "tag_v2", {}).get(_TIFF_BITS, (8,)))
    if bits > 8 and pixels.max() < _DARK:
        raise UserError(
            f"{name}: an image of 16 bits a channel of which the upper ones are not used, so that "
            f"it is black in 8 bits (up to {pixels.max()} of 255). Save it in 8 bits."
        )


def _has_end(data: bytes, image: Image.Image) -> bool:
    """Whether the end of the file is there, told from its structure; False where it cannot be."""
    if image.format in _JPEG:
        # A thumbnail has an end mark too; only one behind the last scan's start counts.
        end = b"\xff\xd9"
        return data.endswith(end) or data.rfind(end) > data.rfind(b"\xff\xda")
    if image.format == "PNG":
        return data.rfind(b"IEND", -_PNG_END_BYTES) > 0
    if image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        ends = [
            start + size
            for offsets, sizes in _TIFF_CHUNKS
            for start, size in zip(tags.get(offsets, ()), tags.get(sizes, ()), strict=False)
        ]
        return bool(ends) and max(ends) <= len(data)
    return False


def _load(image: Image.Image, *, name: str) -> None:
    """Decode with Pillow, and raise if it misses anything."""
    if image.format == "EPS":  # Pillow would have Ghostscript run it, whatever the file's name
        raise _not_decoded(image, name)
    with _refusing(name), quiet():
        image.load()


def _odd_tiff(stream: BinaryIO, *, name: str, pixels: bool = True) -> npt.NDArray[np.uint8]:
    """A TIFF of three 8-bit channels that are declared as grey and two extra samples.

    CVC-ClinicDB ships such files; OpenCV reads the first channel alone, and Pillow nothing.
    Without ``pixels`` the array has the right shape and no content.
    """
    import tifffile

    stream.seek(0)
    with _refusing(name), tifffile.TiffFile(stream) as file:
        page = file.pages.first
        size = page.imagelength, page.imagewidth
        if size[0] * size[1] > MAX_PIXELS:
            raise _too_large(name, f"{size[1]} x {size[0]}")
        if page.samplesperpixel != 3 or page.dtype != np.uint8:
            raise UserError(
                f"{name}: a TIFF of {page.samplesperpixel} channels of {page.dtype}, which is "
                "not read. Save it with 1 or 3 channels of 8 bits."
            )
        compression = tifffile.COMPRESSION(page.compression).name
        if compression not in _READ_BY_TIFFFILE:
            raise UserError(
                f"{name}: a TIFF whose colours are declared as grey and extra channels, "
                f"compressed by {compression}, which is not read. Save it as PNG."
            )
        found = page.asarray() if pixels else np.empty(page.shape, np.uint8)
        if page.axes == "SYX":  # a plane for each channel
            found = np.ascontiguousarray(np.moveaxis(found, 0, -1))
        if not found.size or found.shape != (*size, 3):
            raise ValueError(f"pixels of shape {found.shape}")
        return found


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """Tell what Pillow and tifffile raise, almost anything for a damaged file, as one fault."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        raise _damaged(name, error) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Pillow's warnings from the user, who gets one message; the filters are process-wide."""
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _unreadable(path: str | Path, error: OSError) -> UserError:
    return UserError(
        f"{path}: cannot be read ({error.strerror or error}). Check the path and its permissions."
    )


def _not_decoded(image: Image.Image, name: str) -> UserError:
    what = f"a {image.format} of {_BITS.get(image.mode, f'mode {image.mode}')}"
    return UserError(
        f"{name}: {what}, which OpenCV cannot decode. Save it as PNG, TIFF or JPEG of 8 bits a "
        "channel."
    )


def _damaged(name: str, why: object) -> UserError:
    return UserError(
        f"{name}: the image is truncated or damaged ({why}). Replace the file with a whole copy, "
        "or save it anew if there is none."
    )


def _too_large(name: str, size: str) -> UserError:
    return UserError(
        f"{name}: expected at most {MAX_PIXELS // 1_000_000} megapixels, but the header says "
        f"{size}. Such a file is not decoded; save it at its frame's own size."
    )
