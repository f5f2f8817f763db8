"""Score a package with the organisers' formulas.

A package is validated and scored in one pass over its masks. The ``official`` protocol scores
masks of the wrong size, or with other values than 0 and 255, as the organisers' tools do (resized;
above 0 is polyp), and notes them; the package is refused for any other fault. The ``strict``
protocol refuses those too. A missing mask is always a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd

from metrics.endocv import FIGURES, organisers_json, summarise
from metrics.frame.boundary import boundary_distances
from metrics.frame.lesions import count_lesions
from metrics.frame.official_hausdorff import hausdorff_bits
from metrics.frame.pixel_counts import class_rows, count, count_bits
from metrics.masks.bits import Bits, pack
from metrics.masks.classes import BACKGROUND, chosen_rows
from metrics.masks.read import Protocol, fit_prediction
from metrics.utils.errors import FaultsError
from metrics.utils.names import counted
from submissions.digest import package_sha256
from submissions.layout import PackageLayout
from submissions.ledger import OVERALL
from submissions.reading.findings import Finding, Kind
from submissions.reading.mask import Content
from submissions.reading.validate import PackageReport, inspect_package
from submissions.truth import Truth, find_truth

TOLERATED: Final[Mapping[Protocol, tuple[Kind, ...]]] = {
    "official": ("size", "values"),
    "strict": (),
}
"""Kinds of fault that do not refuse a package, by protocol; the organisers' tools accept them."""

_REGISTERED: Final = ("score", "iou", "f1", "f2", "ppv", "recall")
_FIGURES: Final = ("n", *_REGISTERED, "sd_frames", "sd_metrics", "sd_sets", "latency_ms",
                   *(f"{name}_sets" for name in _REGISTERED))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PackageScore:
    """The score of a package.

    Attributes:
        package: The zip or folder.
        package_sha256: Of the zip; of all names and bytes, where it is a folder.
        protocol: ``official`` or ``strict``.
        truth_sha256: Of the truth.
        truth: The truth's folder.
        frames: The frame table: one row a frame and class; by official with hausdorff_rows where
            asked for, by strict with ``metrics.frame.boundary`` and ``metrics.frame.lesions``.
        figures: One row a test set, and one of test set 'all' over all frames: see
            ``metrics.endocv.summarise``, of the chosen class. The last row has each figure's mean
            over the test sets too, as ``NAME_sets``; see ``leaderboard.averaged``.
        organisers: Test set to the organisers' result file, by the official protocol only.
        notes: Remarks that are not faults.
        threshold: The probability above which a pixel is polyp; ``None`` for masks.
    """

    package: Path
    package_sha256: str
    protocol: Protocol
    truth_sha256: str
    truth: Path
    frames: pd.DataFrame
    figures: pd.DataFrame
    organisers: Mapping[str, Any]
    notes: tuple[str, ...]
    threshold: float | None = None

    @property
    def overall(self) -> pd.Series[Any]:
        """The row over all frames."""
        return self.figures[self.figures["test_set"] == OVERALL].iloc[0]


def score_package(
    package: Path,
    truth: Path | Truth,
    protocol: Protocol = "official",
    *,
    layout: PackageLayout | None = None,
    hausdorff: bool = True,
    threshold: float | None = None,
) -> PackageScore:
    """Validate a package and score it.

    ``truth`` is a folder ``TEST_SET/NAME_mask.*``, or what ``find_truth`` read in it by the
    protocol; its test sets and frames are those that the package must have. The organisers'
    Hausdorff figures (official only) take about as long as reading the masks. ``threshold`` is as
    for ``submissions.reading.validate.inspect_package``.

    Raises:
        FaultsError: The package or the truth has faults, all of them at once.
        UserError: There is no such package or truth.
        ValueError: The truth was read by another protocol.
    """
    true = truth if isinstance(truth, Truth) else find_truth(truth, protocol=protocol)
    if true.protocol != protocol:
        raise ValueError(f"the truth was read by the {true.protocol} protocol, not {protocol}")
    inspect = partial(inspect_package, package, true.sizes, layout=layout, threshold=threshold)
    return score_masks(package, true, inspect, hausdorff=hausdorff)


def score_masks(
    package: Path,
    truth: Truth,
    inspect: Callable[..., PackageReport],
    *,
    hausdorff: bool,
    notes: Iterable[str] = (),
) -> PackageScore:
    """Score the masks that an inspection finds, by the protocol of the truth.

    ``inspect`` inspects the masks and calls ``on_mask`` with each of them; ``notes`` are remarks
    that are not faults.

    Raises:
        FaultsError: There are faults, all of them at once.
    """
    protocol = truth.protocol
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    with_hausdorff = hausdorff and protocol == "official"

    def take(content: Content) -> None:
        place = content.place
        if place.size == content.size or protocol == "official":
            rows[place.test_set, place.name] = _row(content, truth, protocol, with_hausdorff)

    inspection = inspect(on_mask=take)
    if faults := inspection.faults(besides=TOLERATED[protocol]):
        raise FaultsError(faults, f"{package}: cannot be scored")
    table = _frame_table(rows, inspection.latencies_ms, truth)
    return PackageScore(
        package=package,
        package_sha256=package_sha256(package),
        protocol=protocol,
        truth_sha256=truth.sha256,
        truth=truth.folder,
        frames=table,
        figures=figures_of(table, protocol),
        organisers=_organisers_files(table) if protocol == "official" else {},
        notes=(
            *notes,
            *inspection.notes,
            *_tolerated_notes(inspection.findings),
            *_truth_notes(truth, table, protocol),
        ),
        threshold=inspection.threshold,
    )


def score_rows(
    score: PackageScore, *, round_name: str = "", team: str = "", model: str = ""
) -> list[dict[str, Any]]:
    """A score as rows for ``Ledger.enter_scores``: one per test set, and one overall.

    Round and model are taken from the package's submission where they are empty; the team is empty
    for our own.
    """
    truth = str(score.truth.resolve())
    settings = {"notes": list(score.notes), "truth": truth, "threshold": score.threshold}
    return [
        {
            "round": round_name,
            "team": team,
            "model": model,
            "package": str(score.package),
            "package_sha256": score.package_sha256,
            "protocol": score.protocol,
            "truth_sha256": score.truth_sha256,
            "test_set": row["test_set"],
            "settings": settings,
        }
        | {name: _plain(row[name]) for name in _FIGURES if name in row}
        for row in score.figures.to_dict("records")
    ]


def _row(
    content: Content, truth: Truth, protocol: Protocol, with_hausdorff: bool
) -> dict[str, Any]:
    place = content.place
    truth_bits = truth.bits(place.test_set, place.name)
    if protocol == "strict":
        mask_truth, mask = truth_bits.unpacked(), content.decode(protocol)
        return {
            "counts": count(mask_truth, mask),
            **boundary_distances(mask_truth, mask)._asdict(),
            **count_lesions(mask_truth, mask)._asdict(),
        }
    prediction = _fitted(content, truth_bits.shape, protocol)
    row: dict[str, Any] = {"counts": count_bits(truth_bits, prediction)}
    if with_hausdorff:
        row["hausdorff_rows"] = hausdorff_bits(truth_bits, prediction)
    return row


def _fitted(content: Content, shape: tuple[int, int], protocol: Protocol) -> Bits:
    """The prediction at its truth's size."""
    bits = content.bits(protocol)
    if bits.shape == shape:
        return bits
    path = content.place.path
    return pack(fit_prediction(content.decode(protocol), shape, protocol=protocol, name=path))


def _frame_table(
    rows: Mapping[tuple[str, str], dict[str, Any]],
    latencies_ms: Mapping[str, Mapping[str, float]],
    truth: Truth,
) -> pd.DataFrame:
    records: list[dict[str, object]] = []
    chosen = truth.classes.chosen
    for test_set, masks in truth.masks.items():
        for name in masks:
            row = rows[test_set, name]
            height, width = truth.sizes[test_set][name]
            measured = {key: value for key, value in row.items() if key != "counts"}
            records += class_rows(
                {chosen: row["counts"], BACKGROUND: row["counts"].swapped()},
                measured={chosen: measured},
                frame=f"{test_set}/{name}",
                dataset="endocv2021-test",
                centre="",
                sequence="",
                test_set=test_set,
                split="",
                height=height,
                width=width,
                latency_ms=latencies_ms.get(test_set, {}).get(name, float("nan")),
            )
    return pd.DataFrame.from_records(records)


def _organisers_files(table: pd.DataFrame) -> dict[str, Any]:
    sets = table.groupby("test_set", sort=True)
    return {str(test_set): organisers_json(of_set) for test_set, of_set in sets}


def figures_of(table: pd.DataFrame, protocol: Protocol) -> pd.DataFrame:
    """The ``PackageScore.figures`` of a frame table."""
    polyp = chosen_rows(table)
    by_set = summarise(polyp, ("test_set",), protocol).assign(sd_sets=float("nan"))
    overall = summarise(polyp, ("class",), protocol).drop(columns="class")
    overall.insert(0, "test_set", OVERALL)
    # A figure that is undefined in a set has no mean over sets: left out, the set would be a gain.
    over_sets = {f"{name}_sets": by_set[name].mean(skipna=False) for name in ("score", *FIGURES)}
    overall = overall[list(by_set.columns)].assign(**over_sets)
    return pd.concat(
        [by_set.assign(**dict.fromkeys(over_sets, float("nan"))), overall], ignore_index=True
    )


def _tolerated_notes(findings: Sequence[Finding]) -> list[str]:
    meanings: Mapping[Kind, str] = {
        "size": "of another size than the frame, resized as the organisers' tools do",
        "values": "of other values than 0 and 255, read as polyp above 0, as the organisers' tools "
        "do (--threshold 0.5 reads maps of probabilities)",
    }
    notes = []
    for kind, meaning in meanings.items():
        if of_kind := [finding for finding in findings if finding.kind == kind]:
            masks = counted(len({finding.path for finding in of_kind}), "mask")
            notes.append(f"{masks} {meaning}; the first: {of_kind[0].path}: {of_kind[0].message}")
    return notes


def _truth_notes(truth: Truth, table: pd.DataFrame, protocol: Protocol) -> Iterator[str]:
    if truth.classes.values:
        yield f"the true masks are read by [classes], as {truth.classes.chosen}"
    if truth.lossy and protocol == "official":
        are = counted(truth.lossy, "true mask is a JPEG", "true masks are JPEGs")
        yield (
            f"{are}: read as the organisers do (> 0), the rim around "
            "each polyp counts as polyp, so that even a perfect prediction stays below 1; the "
            "strict protocol reads them at > 127"
        )
    polyp = chosen_rows(table).groupby("test_set")[["tp", "fn"]].sum().sum(axis=1)
    for test_set in polyp.index[polyp == 0]:
        yield (
            f"the truth of {test_set} holds no polyp at all; its scores tell nothing about finding "
            "one"
        )


def _plain(value: Any) -> Any:
    """A NumPy scalar as a plain one; NaN as ``None``, SQLite's NULL."""
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value
