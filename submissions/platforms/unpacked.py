"""Submissions that a platform has unpacked before the evaluation sees them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

from submissions.layout import PackageLayout, is_junk
from submissions.reading.archive import Limits, open_archive
from submissions.reading.mask import Content
from submissions.reading.structure import arrange
from submissions.reading.validate import PackageReport, inspect_masks, inspect_package
from submissions.rounds import Sizes


def find_submission(
    folder: Path, expected: Sizes, layout: PackageLayout, own: Collection[str]
) -> tuple[Path, Callable[..., PackageReport]]:
    """What a participant gave, and what inspects it.

    It is the folder itself, or the zip in it where it holds nothing else but files of the
    platform's ``own`` or of an operating system: a package that was zipped twice.
    """
    paths = [path for path in folder.iterdir() if not (path.name in own or is_junk(path.name))]
    if len(paths) == 1 and paths[0].suffix.lower() == ".zip" and paths[0].is_file():
        return paths[0], partial(inspect_package, paths[0], expected, layout=layout)
    return folder, partial(inspect_unpacked, folder, expected, layout, ignored=own)


def inspect_unpacked(
    folder: Path,
    expected: Sizes,
    layout: PackageLayout,
    *,
    ignored: Collection[str] = (),
    on_mask: Callable[[Content], None] | None = None,
) -> PackageReport:
    """As ``submissions.reading.validate.inspect_package``, of a folder that a platform made.

    A platform may have removed the folders that all files of the zip are in; they are put before
    the names again.

    Args:
        folder: The folder.
        expected: Test set to frame name to height and width of every frame that needs a mask.
        layout: The names inside a package.
        ignored: Names in the folder that are the platform's own.
        on_mask: Called with each mask, from several threads.
    """
    prefix = _removed(folder, layout, list(expected))
    with open_archive(folder, "", Limits()) as archive:
        read = archive.read
        named = replace(
            archive,
            files={f"{prefix}{n}": size for n, size in archive.files.items() if n not in ignored},
            folders=tuple(f"{prefix}{name}" for name in archive.folders),
            read=lambda name: read(name.removeprefix(prefix)),
        )
        structure = arrange(named, layout, expected=expected)
        return inspect_masks(
            named, structure, expected, threshold=layout.threshold, on_mask=on_mask
        )


def _removed(folder: Path, layout: PackageLayout, test_sets: list[str]) -> str:
    """The folders at the top of a package that are not there, as the beginning of a name."""
    every = layout.folder(test_sets[0]).split("/")
    tops = every if len(test_sets) == 1 else every[:-1]
    there = [number for number, name in enumerate(tops) if (folder / name).is_dir()]
    # Two of them may be called alike: where all that should follow is there, too, it is the one.
    whole = [number for number in there if folder.joinpath(*tops[number:]).is_dir()]
    if there:
        return "".join(f"{name}/" for name in tops[: (whole or there)[0]])
    inside = any((folder / layout.folder(name).split("/")[-1]).is_dir() for name in test_sets)
    masks = len(test_sets) == 1 and any(layout.frame_of(path.stem) for path in folder.iterdir())
    return "".join(f"{name}/" for name in tops) if inside or masks else ""
