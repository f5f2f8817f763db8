"""Tables from files, checked by a pydantic model; all their faults at once, in our own words."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

from metrics.utils.errors import Fault, FaultsError, UserError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Model = TypeVar("Model")
Entry = TypeVar("Entry")
Name = TypeVar("Name", bound=str)

_UNKNOWN: Final = ("extra_forbidden", "unexpected_keyword_argument")
_NO_TABLE: Final = ("model_type", "dataclass_type", "dict_type")
_VALUE_CHARACTERS: Final = 60


def validate(
    kind: type[Model],
    values: object,
    *,
    path: str = "",
    summary: str = "the input has faults",
    hidden: Container[str] = (),
) -> Model:
    """Make a pydantic model or dataclass from plain values, such as a table of a TOML file.

    A field with a description is reported once, as ``FIELD: expected DESCRIPTION, got VALUE``;
    without one, pydantic's reason stands in its place. What a validator raises as ``ValueError``
    is reported word for word. An unknown key is refused where the model's configuration has
    ``extra="forbid"``, and the nearest field that is not ``hidden`` is suggested. A field of
    ``StrictInt`` takes whole numbers alone, where a plain ``int`` takes ``"7"`` and ``True`` too.

    Raises:
        FaultsError: The values do not fit; ``summary`` heads the list, ``path`` is in each message.

    Example:
        >>> from pydantic import BaseModel, Field
        >>> class Round(BaseModel, extra="forbid"):
        ...     daily_limit: int = Field(gt=0, description="a whole number above 0")
        ...     time_zone: str = "UTC"
        >>> validate(Round, {"daily_limit": 2}).daily_limit
        2
        >>> validate(Round, {"daily_limit": 0, "time_zon": "CET"}, path="rounds.toml")
        Traceback (most recent call last):
        metrics.utils.errors.FaultsError: the input has faults (2 faults):
          - rounds.toml: daily_limit: expected a whole number above 0, got 0
          - rounds.toml: unknown key 'time_zon'; did you mean 'time_zone'?
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        found = [_message(kind, values, each, hidden) for each in error.errors(include_url=False)]
    # A described field is reported once, whatever of it is wrong.
    faults = [Fault(path=path, message=message) for message in dict.fromkeys(found)]
    raise FaultsError(faults, summary)


def suggest(name: str, known: Iterable[str]) -> str:
    """The hint for a name that is not known: the nearest one, or all that there are.

    Example:
        >>> suggest("unett", ("unet", "fpn")), suggest("x", ("unet", "fpn"))
        ("did you mean 'unet'?", 'expected unet, fpn')
    """
    known = list(known)
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"expected {', '.join(known)}"


def look_up(table: Mapping[Name, Entry], name: Name, what: str) -> Entry:
    """An entry of a table by its name.

    Raises:
        UserError: There is none of that name; the nearest is suggested.

    Example:
        >>> look_up({"cosine": 1, "step": 2}, "step", "schedule")
        2
    """
    if name not in table:
        raise UserError(f"unknown {what} {name!r}; {suggest(name, table)}")
    return table[name]


def require_columns(table: Container[str], names: Iterable[str]) -> None:
    """Refuse a frame table that lacks a column, with a ``UserError``.

    Example:
        >>> require_columns({"tp": [1]}, ["tp", "fp"])
        Traceback (most recent call last):
        metrics.utils.errors.UserError: expected a frame table with the columns tp, fp; it lacks fp
    """
    names = list(names)
    if missing := [name for name in names if name not in table]:
        raise UserError(
            f"expected a frame table with the columns {', '.join(names)}; it lacks "
            f"{', '.join(missing)}"
        )


def _message(kind: type, values: object, error: ErrorDetails, hidden: Container[str]) -> str:
    """One error of pydantic's in our words: where, what was expected, what came."""
    location = error["loc"]
    where = f"{_dotted(location)}: " if location else ""
    fields = _fields(kind, location[:-1])
    if error["type"] in _UNKNOWN:
        inside = f"{_dotted(location[:-1])}: " if location[:-1] else ""
        known = [name for name in fields if name not in hidden]
        return f"{inside}unknown key {location[-1]!r}; {suggest(str(location[-1]), known)}"
    for depth in range(1, len(location) + 1):
        field = _fields(kind, location[: depth - 1]).get(str(location[depth - 1]))
        if field is not None and field.description:
            missing = error["type"] == "missing" and depth == len(location)
            came = (
                "nothing" if missing else _shown(_value(values, location[:depth], error["input"]))
            )
            return f"{_dotted(location[:depth])}: expected {field.description}, got {came}"
    if error["type"] == "missing":
        return f"{where}expected a value, got nothing"
    if error["type"] == "value_error":
        return f"{where}{error['ctx']['error']}"
    if error["type"] in _NO_TABLE:
        return f"{where}expected a table, got {_shown(error['input'])}"
    subject, _, wanted = error["msg"].partition(" should ")
    if subject == "Input":
        wanted = wanted.removeprefix("be ")
        wanted = f"a value {wanted}" if wanted.startswith(("greater", "less")) else wanted
    else:
        wanted = f"{subject.lower()} to {wanted}" if wanted else subject
    return f"{where}expected {wanted}, got {_shown(error['input'])}"


def _fields(kind: Any, location: Sequence[int | str]) -> Mapping[str, Any]:
    """The fields of the model at a place; empty where there is none."""
    for part in location:
        field = getattr(kind, "__pydantic_fields__", {}).get(part)
        annotation = field.annotation if field else kind
        inner = (a for a in (annotation, *get_args(annotation)) if a is not kind)
        kind = next((a for a in inner if hasattr(a, "__pydantic_fields__")), annotation)
    fields: Mapping[str, Any] = getattr(kind, "__pydantic_fields__", {})
    return fields


def _value(values: Any, location: Sequence[int | str], otherwise: object) -> object:
    """What stands at a place; otherwise where the place names a branch of a union too."""
    try:
        for part in location:
            values = values[part]
    except (LookupError, TypeError):
        return otherwise
    return values


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _VALUE_CHARACTERS else f"{text[:_VALUE_CHARACTERS]} ..."


def _dotted(location: Sequence[int | str]) -> str:
    """A place as TOML writes it: ``test_sets[0]``, ``layout.root``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")
