"""One submission as an HTML page: figures with intervals, every frame, outlines, or its faults.

The page needs no other file. It is plain HTML without scripts, since it must open in the frame that
a platform shows it in.
"""

from __future__ import annotations

import base64
import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Final

import pandas as pd

from metrics.averages import Average
from metrics.endocv import SCORED, add_figures
from metrics.masks.classes import chosen_rows
from metrics.masks.image import read_file, read_size
from metrics.masks.outline import contour_path
from metrics.masks.read import Protocol, fit_prediction
from metrics.statistics.bootstrap import RESAMPLES, resample
from metrics.statistics.bootstrap_intervals import LEVEL, intervals
from metrics.statistics.samples import collect
from metrics.utils.names import counted
from submissions.platforms.evaluation import Evaluator
from submissions.reading.mask import Content
from submissions.scoring import PackageScore
from submissions.truth import Truth

FRAMES: Final = "frames"
"""The folder, beside the truth's test sets, of frames that may be shown: SET/NAME.jpg."""

MOST_PICTURES: Final = 60

_FIGURES: Final = ("iou", *SCORED)
_TITLES: Final = {"score": "Score", "iou": "IoU", "f1": "F1", "f2": "F2", "ppv": "PPV",
                  "recall": "Recall"}  # fmt: skip
_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 1rem auto; padding: 0 1rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .15rem .7rem; border-bottom: 1px solid #8886; }
th:first-child, td:first-child { text-align: left; }
td .interval { white-space: nowrap; }
.interval, footer, figcaption { opacity: .75; font-size: .85rem; }
.scroll { overflow-x: auto; }
figure { display: inline-block; margin: 0 1rem 1rem 0; vertical-align: top; }
svg { max-width: 100%; height: auto; }
h1 { line-height: 1.25; }
h1, li { overflow-wrap: anywhere; }
td:first-child { overflow-wrap: anywhere; min-width: 9rem; }
path { fill: none; stroke-width: 2.5; filter: drop-shadow(0 0 1px #000); }
.truth { stroke: #ffffff; stroke-dasharray: 6 4; }
.mask { stroke: #56b4e9; }
"""


@dataclass(kw_only=True)
class Picture:
    """A frame with outlines.

    Attributes:
        image: The frame as a data URI (JPEG).
        width: Of the image, in pixels.
        height: Of the image, in pixels.
        truth: Outlines of the truth as an SVG path in the image's pixels.
        mask: The same of the submission's mask.
    """

    image: str
    width: int
    height: int
    truth: str
    mask: str


class ShownFrames:
    """Draws the outlines of the frames that may be shown, while their masks are read.

    Args:
        folder: The frames, SET/NAME.jpg; it need not exist.
        truth: The true masks, which are drawn, too.
        protocol: By which masks are read.
    """

    def __init__(self, folder: Path, truth: Truth, protocol: Protocol) -> None:
        self.pictures: dict[str, Picture] = {}
        self._folder, self._truth, self._protocol = folder, truth, protocol
        self._lock = threading.Lock()

    def take(self, content: Content) -> None:
        """Draw a mask's frame if it may be shown."""
        place = content.place
        path = self._folder / place.test_set / f"{place.name}.jpg"
        fits = content.size == place.size or self._protocol == "official"
        if not fits or not path.is_file():
            return
        height, width = read_size(path)
        true = self._truth.bits(place.test_set, place.name).unpacked()
        mask = fit_prediction(content.decode(self._protocol), true.shape, protocol=self._protocol)
        scale = width / true.shape[1]
        picture = Picture(
            image=f"data:image/jpeg;base64,{base64.b64encode(read_file(path)).decode('ascii')}",
            width=width,
            height=height,
            truth=contour_path(true, scale),
            mask=contour_path(mask, scale),
        )
        with self._lock:
            self.pictures[f"{place.test_set}/{place.name}"] = picture


@dataclass(frozen=True, kw_only=True)
class SubmissionPage:
    """What the page of a submission shows.

    Attributes:
        title: Its heading.
        frames: The frame table.
        protocol: By which masks were read.
        average: What the score over everything is the mean over.
        notes: Remarks.
        facts: What the figures depend on, name to text.
        pictures: TEST_SET/NAME to the frame with outlines.
        resamples: Of the bootstrap for the intervals.
        up: Link to the page that this one belongs to, and its name; empty for none.
    """

    title: str
    frames: pd.DataFrame
    protocol: Protocol
    average: Average = "sets"
    notes: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    resamples: int = RESAMPLES
    up: tuple[str, str] | tuple[()] = ()

    def html(self) -> str:
        """The page."""
        rows = add_figures(chosen_rows(self.frames), self.protocol)
        worst = rows.sort_values(["f1", "frame"], na_position="first").to_dict("records")
        named = self.facts.items()
        return _document(
            self.title,
            '<p><a href="{}">{}</a></p>'.format(*map(escape, self.up)) if self.up else "",
            self._figures_table(),
            _list(self.notes),
            self._pictures([row["frame"] for row in worst]),
            f"<h2>Frames, lowest F1 first</h2>{_frames_table(worst)}",
            f"<footer>{_list(f'{name}: {text}' for name, text in named)}</footer>",
        )

    def _figures_table(self) -> str:
        """Figures with intervals over everything and by test set."""
        rows = [(f"all, mean over {self.average}", self.frames, self.average)]
        by_set = self.frames.groupby("test_set", sort=True)
        if by_set.ngroups > 1:
            rows += [(str(name), part, "frames") for name, part in by_set]
        body = []
        for name, part, over in rows:
            samples = collect(part, figures=_FIGURES, protocol=self.protocol, average=over)
            drawn = resample(samples, resamples=self.resamples)
            found = intervals(drawn).set_index("figure").to_dict("index")
            cells = [_with_interval(found[key]) for key in _TITLES]
            body.append([escape(name), len(samples.frames), *cells])
        how = f"{100 * LEVEL:g} % bootstrap intervals, {self.resamples:,} resamples, seed 0."
        head = ["Test set", "Frames", *_TITLES.values()]
        said = f"In brackets: {how} Protocol: {self.protocol}."
        return f"{_table(head, body)}<p class=interval>{said}</p>"

    def _pictures(self, worst: Sequence[str]) -> str:
        chosen = [name for name in worst if name in self.pictures][:MOST_PICTURES]
        if not chosen:
            return ""
        drawn = "".join(_figure(name, self.pictures[name]) for name in chosen)
        return f"<h2>Outlines</h2><p>Solid: the mask. Dashed, white: the truth.</p>{drawn}"


def scored_page(
    evaluator: Evaluator, scored: PackageScore, truth: Truth, shown: ShownFrames
) -> str:
    """The page of a submission that was scored."""
    return SubmissionPage(
        title=f"Round {evaluator.round.name}",
        frames=scored.frames,
        protocol=scored.protocol,
        notes=scored.notes,
        facts={"package, SHA-256": scored.package_sha256} | _facts(evaluator, truth.sha256),
        pictures=shown.pictures,
    ).html()


def refused_page(evaluator: Evaluator, faults: Sequence[str]) -> str:
    """The page of a submission with faults."""
    count = counted(len(faults), "fault")
    return _document(
        f"Round {evaluator.round.name}: not scored, {count}",
        _list(faults),
        f"<footer>{_list(f'{k}: {v}' for k, v in _facts(evaluator).items())}</footer>",
    )


def _facts(evaluator: Evaluator, truth_sha256: str = "") -> dict[str, str]:
    facts = {"harness": evaluator.version, "program, SHA-256": evaluator.digest}
    return facts | ({"truth, SHA-256": truth_sha256} if truth_sha256 else {})


def _with_interval(found: Mapping[Any, Any]) -> str:
    estimate = _number(found["estimate"])
    if math.isnan(found["low"]):  # of a single frame or sequence
        return estimate
    limits = f"[{found['low']:.3f}, {found['high']:.3f}]"
    return f"{estimate}<br><span class=interval>{limits}</span>"


def _number(value: float) -> str:
    """A figure for people; a dash where it is undefined."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def _frames_table(rows: Iterable[Mapping[Any, Any]]) -> str:
    body = [[escape(str(row["frame"])), *(_number(row[n]) for n in _FIGURES)] for row in rows]
    return _table(["Frame", *(_TITLES[name] for name in _FIGURES)], body)


def _table(head: Sequence[str], body: Iterable[Sequence[object]]) -> str:
    """A table; its cells are HTML already."""
    heads = "".join(f"<th>{name}</th>" for name in head)
    lines = ("".join(f"<td>{cell}</td>" for cell in row) for row in body)
    rows = "".join(f"<tr>{line}</tr>\n" for line in lines)
    return f"<div class=scroll><table><thead><tr>{heads}</tr></thead>\n{rows}</table></div>"


def _figure(name: str, picture: Picture) -> str:
    width, height = picture.width, picture.height
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" width="{min(width, 340)}" role="img">'
        f'<image href="{picture.image}" width="{width}" height="{height}"/>'
        f'<path class="truth" d="{picture.truth}"/><path class="mask" d="{picture.mask}"/></svg>'
        f"<figcaption>{escape(name)}</figcaption></figure>"
    )


def _list(texts: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def _document(title: str, *parts: str) -> str:
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    body = "\n".join([f"<h1>{escape(title)}</h1>", *filter(None, parts)])
    return f'<!doctype html><html lang="en"><head>{head}</head>\n<body>{body}</body></html>\n'
