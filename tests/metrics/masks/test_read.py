import io

import cv2
import numpy as np
import pytest
from PIL import Image

from metrics.masks.image import MAX_PIXELS, read_size
from metrics.masks.read import THRESHOLDS, decode_mask, decode_turned, fit_prediction, read_mask
from metrics.utils.errors import UserError


def ramp() -> Image.Image:
    """Every grey value from 0 to 255, thrice."""
    return Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (3, 1)))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def ellipse(height: int = 90, width: int = 120) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 4, height // 5), 20, 0, 360, 255, -1)
    return mask


KINDS = {
    "png": lambda image: encoded(image, "PNG"),
    "tiff": lambda image: encoded(image, "TIFF"),
    "tiff-lzw": lambda image: encoded(image, "TIFF", compression="tiff_lzw"),
    "tiff-group4": lambda image: encoded(image.convert("1"), "TIFF", compression="group4"),
    "bmp": lambda image: encoded(image, "BMP"),
    "jpeg": lambda image: encoded(image, "JPEG", quality=90),
    "jpeg-colour": lambda image: encoded(image.convert("RGB"), "JPEG", quality=90),
    "png-colour": lambda image: encoded(image.convert("RGB"), "PNG"),
    "png-alpha": lambda image: encoded(image.convert("RGBA"), "PNG"),
    "png-palette": lambda image: encoded(image.convert("P"), "PNG"),
    "png-one-bit": lambda image: encoded(image.convert("1"), "PNG"),
    "png-16-bit": lambda image: encoded(
        Image.fromarray(np.asarray(image).astype(np.uint16) * 257), "PNG"
    ),
}


@pytest.mark.parametrize(("protocol", "first"), [("official", 1), ("strict", 128)])
def test_the_threshold_lies_where_the_protocol_has_it(protocol, first):
    mask = decode_mask(encoded(ramp(), "PNG"), protocol=protocol)
    assert mask.dtype == bool
    assert mask.shape == (3, 256)
    assert not mask[:, :first].any()
    assert mask[:, first:].all()
    assert THRESHOLDS[protocol] == first - 1


def test_strict_is_the_default():
    data = encoded(ramp(), "PNG")
    assert np.array_equal(decode_mask(data), decode_mask(data, protocol="strict"))


@pytest.mark.parametrize("kind", KINDS)
def test_official_is_what_opencv_reads_above_zero(kind):
    for image in (ramp(), Image.fromarray(ellipse())):
        data = KINDS[kind](image)
        buffer = np.frombuffer(data, np.uint8)
        mask = decode_mask(data, protocol="official")
        assert np.array_equal(mask, cv2.imdecode(buffer, cv2.IMREAD_GRAYSCALE) > 0)
        assert np.array_equal(mask, cv2.imdecode(buffer, cv2.IMREAD_COLOR)[..., 0] > 0)


@pytest.mark.parametrize("kind", KINDS)
def test_strict_agrees_with_pillow(kind):
    data = KINDS[kind](Image.fromarray(ellipse()))
    grey = np.asarray(Image.open(io.BytesIO(data)).convert("L" if kind != "png-16-bit" else "I"))
    full = 65535 if kind == "png-16-bit" else 255
    assert np.array_equal(decode_mask(data), grey > full // 2)


def test_the_rim_of_a_jpeg_is_polyp_to_one_protocol_only():
    drawn = ellipse()
    data = encoded(Image.fromarray(drawn), "JPEG", quality=75)
    official, strict = decode_mask(data, protocol="official"), decode_mask(data)
    assert np.array_equal(strict, drawn > 0)
    assert official.sum() > strict.sum()
    assert not (strict & ~official).any()


@pytest.mark.parametrize("protocol", THRESHOLDS)
def test_a_mask_with_a_problem_is_refused_by_name(protocol):
    data = encoded(Image.new("RGB", (4, 3), (255, 0, 0)), "PNG")
    with pytest.raises(UserError, match=r"red\.png: expected a mask of black .*up to 255 of 255"):
        decode_mask(data, protocol=protocol, name="red.png")


def test_a_package_is_turned_as_opencv_turns_it():
    exif = Image.Exif()
    exif[274] = 6
    data = encoded(Image.fromarray(ellipse(30, 50)), "JPEG", exif=exif)
    assert decode_turned(data, name="turned.jpg").shape == (50, 30)
    with pytest.raises(UserError, match="orientation tag"):
        decode_mask(data)


def test_the_content_decides_and_not_the_name(tmp_path):
    path = tmp_path / "mask.jpg"
    path.write_bytes(encoded(Image.fromarray(ellipse()), "TIFF"))
    assert np.array_equal(read_mask(path, protocol="official"), ellipse() > 0)
    assert read_size(path) == (90, 120)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_file_is_refused(kind, share, capfd):
    data = KINDS[kind](Image.fromarray(ellipse(200, 300)))
    for protocol in THRESHOLDS:
        with pytest.raises(UserError, match=r"cut\.img"):
            decode_mask(data[: int(share * len(data))], protocol=protocol, name="cut.img")
    assert capfd.readouterr().err == ""


def test_a_truncated_jpeg_with_a_whole_thumbnail_is_refused():
    data = encoded(Image.fromarray(ellipse(200, 300)), "JPEG")
    thumbnail = b"\xff\xe1\x00\x08" + b"\xff\xd8\xff\xd9\x00\x00"
    whole = data[:2] + thumbnail + data[2:]
    assert decode_mask(whole).shape == (200, 300)
    with pytest.raises(UserError, match="truncated"):
        decode_mask(whole[: len(whole) // 2])


def test_bytes_after_the_end_do_no_harm():
    data = encoded(Image.fromarray(ellipse()), "JPEG")
    assert np.array_equal(decode_mask(data + b"\0" * 64), decode_mask(data))


def test_a_huge_image_is_refused_from_its_header(tmp_path):
    width, height = 20_000, MAX_PIXELS // 20_000 + 1
    path = tmp_path / "huge.png"
    data = bytearray(encoded(Image.new("1", (8, 8)), "PNG"))
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    data[29:33] = __import__("zlib").crc32(bytes(data[12:29])).to_bytes(4, "big")
    path.write_bytes(bytes(data))
    for read in (read_mask, read_size):
        with pytest.raises(UserError, match="100 megapixels"):
            read(path)


@pytest.mark.parametrize("read", [read_mask, read_size])
def test_what_is_no_image_is_told_by_name(read, tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("not an image")
    with pytest.raises(UserError, match=r"notes\.jpg: expected a JPEG, PNG, TIFF or BMP"):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"notes\.jpg"):
        read(path)
    with pytest.raises(UserError, match=r"absent\.jpg: cannot be read \(No such file"):
        read(tmp_path / "absent.jpg")
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path)


def test_a_prediction_of_the_right_size_is_left_alone():
    mask = ellipse() > 0
    assert fit_prediction(mask, (90, 120)) is mask


def test_strict_refuses_another_size():
    with pytest.raises(UserError, match=r"a\.png: expected 120 x 90 .* but it has 60 x 45"):
        fit_prediction(np.zeros((45, 60), bool), (90, 120), name="a.png")


@pytest.mark.parametrize("shape", [(45, 60), (200, 130), (90, 121), (33, 240)])
def test_official_resizes_as_the_evaluator_does(shape):
    prediction = ellipse() > 0
    three = np.repeat(prediction.astype(np.uint8)[..., None], 3, axis=2)
    theirs = cv2.resize(three, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)[:, :, 0]
    ours = fit_prediction(prediction, shape, protocol="official")
    assert ours.dtype == bool
    assert np.array_equal(ours, theirs > 0)


def test_area_interpolation_rounds_by_hand():
    # Halving both sides: three of four pixels round to 1, one of four to 0.
    prediction = np.array([[1, 1, 1, 0], [1, 0, 0, 0]], dtype=bool)
    assert fit_prediction(prediction, (1, 2), protocol="official").tolist() == [[True, False]]
