"""Assign the files of a package to test sets and frames; find what is missing or extra."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from metrics.utils.names import counted, normal
from submissions.layout import FRAME, PackageLayout, is_junk
from submissions.reading.archive import Archive
from submissions.reading.findings import Finding, Kind, found, shown
from submissions.reading.mask import Place
from submissions.rounds import Sizes


@dataclass(frozen=True, kw_only=True)
class Structure:
    """The files of a package, assigned.

    Attributes:
        masks: Every mask that belongs to a test set.
        timings: Test set to the name of its timing file in the archive.
        findings: What is missing, extra or out of place.
        junk: Files that an operating system left behind.
    """

    masks: tuple[Place, ...]
    timings: Mapping[str, str]
    findings: tuple[Finding, ...]
    junk: tuple[str, ...]


def arrange(
    archive: Archive,
    layout: PackageLayout,
    *,
    expected: Sizes | None = None,
    test_sets: Collection[str] | None = None,
) -> Structure:
    """Assign every file, by its path alone.

    ``expected`` holds the frames that need a mask, with their sizes; where it is ``None``,
    ``test_sets`` are required, or any.
    """
    files = [name for name in archive.files if not is_junk(name)]
    known = expected.keys() if expected is not None else test_sets
    sorting = _Sorting(layout=layout, expected=expected, known=known)
    for name in files:
        sorting.sort(name)
    findings = [
        *_root_findings(files, layout),
        *sorting.findings,
        *sorting.misplaced(),
        *sorting.extra_folders(archive.folders, files),
        *sorting.missing(),
    ]
    return Structure(
        masks=tuple(sorted(sorting.masks.values(), key=lambda place: place.path)),
        timings=sorting.timings,
        findings=tuple(findings),
        junk=tuple(name for name in archive.files if is_junk(name)),
    )


@dataclass(kw_only=True)
class _Sorting:
    """The files sorted so far; ``known`` are the test sets that are asked for, ``None`` for any."""

    layout: PackageLayout
    expected: Sizes | None
    known: Collection[str] | None
    masks: dict[tuple[str, str], Place] = field(default_factory=dict)
    timings: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    strays: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def sort(self, name: str) -> None:
        path = PurePosixPath(name)
        parts = name.split("/")
        top = self.layout.top
        if len(parts) != len(top) + 2 or tuple(map(normal, parts[: len(top)])) != top:
            nested = path.suffix.lower() == ".zip"
            hint = f"{'a zip in the zip; ' if nested else ''}{self._where()}"
            self.strays[str(path.parent), hint].append(name)
            return
        test_set = self.layout.predicted_test_set(parts[-2])
        if test_set is None or not self._is_asked_for(test_set):
            self.strays[str(path.parent), self._folder_hint(parts[-2])].append(name)
        elif self.layout.timed_test_set(path.name) == test_set:
            self.timings[test_set] = name
        else:
            self._sort_mask(test_set, path)

    def _sort_mask(self, test_set: str, path: PurePosixPath) -> None:
        name = self.layout.frame_of(path.stem)
        if path.suffix not in self.layout.suffixes or name is None:
            expected = [_mask_name(self.layout, suffix) for suffix in self.layout.suffixes]
            if self.layout.timings:
                expected.append(PurePosixPath(self.layout.timing(test_set)).name)
            self._find("extra", path, f"an extra file; expected {' or '.join(expected)}")
            return
        if self.expected is not None and name not in self.expected[test_set]:
            self._find("extra", path, f"an extra mask: {test_set} has no frame {shown(name)}")
            return
        earlier = self.masks.get((test_set, name))
        if earlier is not None:
            self._find("duplicate", path, f"a second mask of the frame of {shown(earlier.path)}")
            return
        size = self.expected[test_set][name] if self.expected is not None else None
        self.masks[test_set, name] = Place(path=str(path), test_set=test_set, name=name, size=size)

    def misplaced(self) -> Iterator[Finding]:
        for (folder, hint), names in self.strays.items():
            count = counted(len(names), "file is", "files are")
            path = folder if len(names) > 1 else names[0]
            yield found("layout", path, f"{count} out of place: {hint}")

    def extra_folders(self, folders: Sequence[str], files: Sequence[str]) -> Iterator[Finding]:
        used = {str(parent) for name in files for parent in PurePosixPath(name).parents}
        top = self.layout.top
        for folder in folders:
            name = folder.rstrip("/")
            parts = tuple(map(normal, name.split("/")))
            if name in used or is_junk(name) or parts == top[: len(parts)]:
                continue
            test_set = self.layout.predicted_test_set(parts[-1])
            if parts[:-1] != top or test_set is None or not self._is_asked_for(test_set):
                yield found("layout", folder, f"an extra folder; {self._where()}")

    def missing(self) -> Iterator[Finding]:
        layout, expected, known = self.layout, self.expected, self.known
        present = {test_set for test_set, _ in self.masks}
        for test_set in sorted(known if known is not None else present | self.timings.keys()):
            if test_set not in present:
                count = counted(len(expected[test_set]), "mask") if expected else "its masks"
                message = f"missing: {count} of {test_set}"
                yield Finding("missing", layout.folder(test_set), message)
                continue
            for name in sorted(expected[test_set]) if expected is not None else ():
                if (test_set, name) not in self.masks:
                    path, message = layout.mask(test_set, name), "the mask of this frame is missing"
                    yield Finding("missing", path, message)
            if layout.timings and test_set not in self.timings:
                yield Finding("timing", layout.timing(test_set), "the timing file is missing")
        if known is None and not present:
            yield Finding("missing", "", f"no masks at all; {self._where()}")

    def _find(self, kind: Kind, path: PurePosixPath, message: str) -> None:
        self.findings.append(found(kind, str(path), message))

    def _is_asked_for(self, test_set: str) -> bool:
        if self.known is None:
            return test_set.startswith(self.layout.prefix)
        return test_set in self.known

    def _where(self) -> str:
        folder = self.layout.folder(min(self.known) if self.known else f"{self.layout.prefix}*")
        return f"expected names such as {folder}/{_mask_name(self.layout)}"

    def _folder_hint(self, folder: str) -> str:
        def name(test_set: str) -> str:
            return PurePosixPath(self.layout.folder(test_set)).name

        if self.known is None:
            return f"expected a folder {name(f'{self.layout.prefix}*')}"
        folders = list(map(name, self.known))
        nearest = difflib.get_close_matches(folder, folders, n=1, cutoff=0.8)
        hint = f"; the nearest is {nearest[0]}" if nearest else ""
        return f"expected one of {', '.join(folders)}{hint}"


def _mask_name(layout: PackageLayout, suffix: str | None = None) -> str:
    return f"{layout.masks.replace(FRAME, 'NAME')}{suffix or layout.suffixes[0]}"


def _root_findings(files: Sequence[str], layout: PackageLayout) -> Iterator[Finding]:
    roots = sorted({name.split("/", 1)[0] for name in files})
    if len(roots) > 1:
        listed = ", ".join(shown(root) for root in roots[:5])
        message = f"more than one root ({listed}); expected everything in {layout.root}/"
        yield found("layout", "", message)
