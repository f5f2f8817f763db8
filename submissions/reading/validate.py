"""Validate a package: all of its faults at once, however broken or hostile it is.

A fault has one of these kinds:

* ``archive``: not a zip, cut short, packed by a method that is not read, or a zip that two readers
  would read differently: its directory and its entries contradict each other, or bytes belong to
  neither;
* ``name``, ``link``: a name that leads outside, or a symbolic link;
* ``bomb``: more entries, bytes or pixels than any package needs;
* ``encrypted``, ``unreadable``: a file that cannot be read;
* ``layout``, ``missing``, ``extra``, ``duplicate``: what is not where it should be;
* ``size``, ``values``: a mask that is not its frame's size, or not black and white;
* ``timing``: a timing file that is missing or wrong.

What operating systems add to a zip (``__MACOSX``, ``.DS_Store``) is noted and not used; the
organisers' tools ignore it too. For real JPEGs a note says how many pixels the faint rim around
edges adds; a lossless mask must hold 0 and 255 alone. A test set whose masks are all black, or all
nearly white (inverted, most likely), is noted too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from metrics.utils.cgroups import cores
from metrics.utils.errors import Fault
from metrics.utils.names import counted
from metrics.utils.text import decode_text
from submissions.layout import PackageLayout
from submissions.reading.archive import UNREADABLE, Archive, Limits, open_archive
from submissions.reading.decode import quiet_decoders
from submissions.reading.findings import HOSTILE, Finding, Kind, found, shown
from submissions.reading.mask import Budget, Content, Place, Totals, read_content
from submissions.reading.structure import Structure, arrange
from submissions.rounds import Sizes
from submissions.timing import most_bytes, parse_timing

NEARLY_WHITE: Final = 0.75
"""A set whose every mask is polyp to this share or more is noted as inverted: no polyp is so large
in every frame, while an inverted mask is white but for the polyp."""

MAX_WORKERS: Final = 4
"""Masks decoded at the same time; together with the limits this bounds the memory."""


@dataclass(frozen=True, kw_only=True)
class PackageReport:
    """The content of a package, and its faults.

    Attributes:
        findings: Every fault with its kind; empty for a package that may be submitted.
        notes: Remarks that are not faults.
        lossy_note: The one of them on lossy masks; empty without any.
        frames: Test set to the names of the frames that have a mask.
        latencies_ms: Test set to frame name to prediction time in milliseconds, as far as known.
        threshold: The probability above which a pixel is polyp; ``None`` for masks.
    """

    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    lossy_note: str = ""
    frames: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    latencies_ms: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    threshold: float | None = None

    def faults(self, *, besides: Collection[Kind] = ()) -> list[Fault]:
        """The faults, except those of the kinds in ``besides``."""
        return [
            Fault(path=finding.path, message=finding.message)
            for finding in self.findings
            if finding.kind not in besides
        ]


def inspect_package(
    path: Path,
    expected: Sizes | None = None,
    *,
    test_sets: Collection[str] | None = None,
    layout: PackageLayout | None = None,
    threshold: float | None = None,
    limits: Limits | None = None,
    on_mask: Callable[[Content], None] | None = None,
) -> PackageReport:
    """The content of a package and all of its faults.

    Args:
        path: A zip, or an unpacked folder.
        expected: Test set to frame name to (height, width) of every frame that needs a mask, see
            ``rounds.frame_sizes``; ``None`` to check only what needs no frames.
        test_sets: The required test sets where ``expected`` is not given; ``None`` for any.
        layout: The names inside; EndoCV 2021's by default.
        threshold: Where given, or where the layout has grey masks (then one half), masks hold
            probabilities, and a pixel is polyp above it.
        limits: How much is read at most.
        on_mask: Called once for each mask that could be decoded, from several threads, also for
            a package that turns out to be faulty.

    Raises:
        UserError: There is no such file or folder.
    """
    layout, limits = layout or PackageLayout(), limits or Limits()
    with open_archive(path, layout.root, limits) as archive:
        if not archive.files and any(f.kind in HOSTILE for f in archive.findings):
            return PackageReport(findings=archive.findings)
        structure = arrange(archive, layout, expected=expected, test_sets=test_sets)
        if threshold is None:
            threshold = layout.threshold
        return inspect_masks(
            archive, structure, expected, threshold=threshold, limits=limits, on_mask=on_mask
        )


def inspect_masks(
    archive: Archive,
    structure: Structure,
    expected: Sizes | None = None,
    *,
    threshold: float | None = None,
    limits: Limits | None = None,
    on_mask: Callable[[Content], None] | None = None,
) -> PackageReport:
    """Read and check the masks and timing files of an opened package.

    The arguments are those of :func:`inspect_package`.
    """
    findings = [*archive.findings, *structure.findings]
    notes, lossy_note = [_junk_note(structure)], ""
    latencies: dict[str, dict[str, float]] = {}
    if not any(finding.kind in HOSTILE for finding in findings):
        contents = _contents(archive, structure, limits or Limits(), threshold, on_mask, findings)
        if threshold is not None:
            notes.append(f"polyp where the probability is above {threshold:g}")
        lossy_note = _lossy_note(contents)
        notes += [lossy_note, *_uniform_notes(contents)]
        latencies = _timings(archive, structure, expected, findings)
        findings += _unreadable_junk(archive, structure)
    return PackageReport(
        findings=tuple(findings),
        notes=tuple(filter(None, notes)),
        lossy_note=lossy_note,
        frames=_frames(structure),
        latencies_ms=latencies,
        threshold=threshold,
    )


def _contents(
    archive: Archive,
    structure: Structure,
    limits: Limits,
    threshold: float | None,
    on_mask: Callable[[Content], None] | None,
    findings: list[Finding],
) -> list[Totals]:
    budget = Budget(limits.work)

    def check(place: Place) -> tuple[Totals | None, list[Finding]]:
        content, faults = read_content(archive, place, limits, budget, threshold)
        if content is not None and on_mask is not None:
            on_mask(content)
        return None if content is None else content.totals, faults  # its pixels are not kept

    read: list[Totals] = []
    with quiet_decoders(), ThreadPoolExecutor(min(MAX_WORKERS, cores())) as pool:
        try:
            for kept, faults in pool.map(check, structure.masks):
                findings += faults
                read += [kept] if kept is not None else []
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return read


def _timings(
    archive: Archive, structure: Structure, expected: Sizes | None, findings: list[Finding]
) -> dict[str, dict[str, float]]:
    names = expected if expected is not None else _frames(structure)
    latencies: dict[str, dict[str, float]] = {}
    for test_set, path in structure.timings.items():
        frames = tuple(names.get(test_set, ()))
        try:
            if archive.files[path] > most_bytes(len(frames)):
                raise ValueError(f"{archive.files[path]:,} bytes for {len(frames)} frames")
            text = decode_text(archive.read(path))
        except UNREADABLE as error:
            message = f"the timing file cannot be read ({error})"
            findings.append(Finding("timing", path, message))
            continue
        latencies[test_set], faults = parse_timing(text, frames)
        findings += [Finding("timing", path, message) for message in faults]
    return latencies


def _unreadable_junk(archive: Archive, structure: Structure) -> list[Finding]:
    """Files that are not used, but that an unpacker would fail on."""
    findings = []
    for name in structure.junk:
        try:
            archive.read(name)
        except UNREADABLE as error:
            findings.append(found("unreadable", name, f"cannot be read from the package ({error})"))
    return findings


def _frames(structure: Structure) -> dict[str, tuple[str, ...]]:
    frames: dict[str, list[str]] = {}
    for place in structure.masks:
        frames.setdefault(place.test_set, []).append(place.name)
    return {test_set: tuple(names) for test_set, names in frames.items()}


def _junk_note(structure: Structure) -> str:
    files = counted(len(structure.junk), "file")
    left = f"passed over: {files} that an operating system left in the package"
    return left if structure.junk else ""


def _lossy_note(read: list[Totals]) -> str:
    lossy = [mask for mask in read if mask.lossy]
    if not lossy:
        return ""
    official = sum(mask.polyp_official for mask in lossy)
    strict = sum(mask.polyp_strict for mask in lossy)
    gain = f"{official / strict - 1:+.1%}" if strict else f"+{official:,}"
    are = counted(len(lossy), "mask is a lossy JPEG", "masks are lossy JPEGs")
    return (
        f"{are}: reading as the organisers do (> 0) finds {gain} polyp pixels against > 127, which "
        "costs PPV; a lossless file under that name costs none"
    )


def _uniform_notes(read: list[Totals]) -> list[str]:
    """Test sets that are empty or full as a whole: valid, but hardly what was meant."""
    notes = []
    for test_set in sorted({mask.test_set for mask in read}):
        masks = [mask for mask in read if mask.test_set == test_set]
        are = f"all {len(masks)} masks are" if len(masks) > 1 else "its only mask is"
        said = f"{shown(test_set)}: {are}"
        if not any(mask.polyp_official for mask in masks):
            notes.append(f"{said} black: no polyp is predicted in the whole test set")
        elif all(mask.polyp_strict >= NEARLY_WHITE * mask.pixels for mask in masks):
            notes.append(f"{said} white to {NEARLY_WHITE:.0%} or more: are they inverted?")
    return notes
