"""One setting, and how its text is read, whether it comes by flag or by variable.

A declaration is a `NamedTuple` class whose fields are annotated with the classes of this module, or any function that
parses a text and raises `ValueError` with the fault. `settings_of` makes a table of it, from which the flags, the
model of the environment and the documents are generated.

Standard library only, and quick to load: `exec` reads its first settings before its command is started.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from csm_otel.errors import Fault, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TRUE = ("1", "true", "t", "yes", "y", "on")
_FALSE = ("0", "false", "f", "no", "n", "off")
_MIB, _GIB = 1024**2, 1024**3
_NOT_IN_HOSTS = set("/[] ")


class Boolean:
    """Reads yes or no, in the spellings that configuration files use."""

    values = ""

    def __call__(self, text: str) -> bool:
        """Return the value.

        Raises:
            ValueError: the text says what is wrong.
        """
        word = text.strip().lower()
        if word not in _TRUE + _FALSE:
            raise ValueError(f"{quoted(text)} is neither true nor false")
        return word in _TRUE


class Number:
    """Reads a whole number, or any with ``kind=float``, within bounds that are included."""

    def __init__(
        self, lowest: float, highest: float = math.inf, kind: type[int | float] = int, *, unit: str = ""
    ) -> None:
        self.lowest = lowest
        self.highest = highest
        self.kind = kind
        self._unit = unit

    @property
    def values(self) -> str:
        """The bounds, for a document."""
        if self.highest == math.inf:
            return f"from {self._shown(self.lowest)}"
        return f"{self._shown(self.lowest)} to {self._shown(self.highest)}"

    def _shown(self, bound: float) -> str:
        for size, name in ((_GIB, "GiB"), (_MIB, "MiB")):
            if self._unit == "bytes" and bound >= size and bound % size == 0:
                return f"{int(bound) // size} {name}"
        return f"{bound:.12g}"

    def __call__(self, text: str) -> float:
        """Return the value.

        Raises:
            ValueError: the text says what is wrong.
        """
        try:
            value = self._parse(text.strip())
        except ValueError:
            value = math.nan
        if self.lowest <= value <= self.highest:
            return value
        noun = "whole number" if self.kind is int else "number"
        if self.highest < math.inf:
            raise ValueError(f"{quoted(text)} is not a {noun} from {self.lowest:.12g} to {self.highest:.12g}")
        raise ValueError(f"{quoted(text)} is not a {noun} of {self.lowest:.12g} or more")

    def _parse(self, text: str) -> float:
        if not text.isascii():
            raise ValueError("other digits")
        if self.kind is float:
            return float(text)
        whole, _, fraction = text.partition(".")
        return int(whole if fraction and not fraction.strip("0") else text)  # 5000.0 is a whole number, too


class Address(NamedTuple):
    """A host, by address or name, and a port."""

    host: str
    port: int


class AddressReader:
    """Reads ``PORT``, of 127.0.0.1, or ``HOST:PORT``, with an IPv6 address in brackets."""

    def __init__(self, lowest_port: int = 0) -> None:
        self._lowest_port = lowest_port
        self.values = f"{lowest_port} to 65535, or HOST:PORT"

    def __call__(self, text: str) -> Address:
        """Return the value.

        Raises:
            ValueError: the text says what is wrong.
        """
        host, colon, port = text.strip().rpartition(":")
        in_brackets = host.startswith("[") and host.endswith("]")
        host = host[1:-1] if in_brackets else host
        try:
            number = int(Number(self._lowest_port, 65_535)(port))
        except ValueError:
            number = -1
        is_host = not _NOT_IN_HOSTS & set(host) and in_brackets == (":" in host) and host.isprintable()
        if number < 0 or not is_host or (colon and not host):
            lowest = self._lowest_port
            raise ValueError(f"{quoted(text)} is neither a port from {lowest} to 65535 nor HOST:PORT or [IPv6]:PORT")
        return Address(host or "127.0.0.1", number)


class OneOf:
    """Reads one of a few words, as they are written."""

    def __init__(self, *words: str) -> None:
        self.words = words

    @property
    def values(self) -> str:
        """The words, for a document."""
        return ", ".join(f"`{word}`" for word in self.words)

    def __call__(self, text: str) -> str:
        """Return the word.

        Raises:
            ValueError: the text says what is wrong.
        """
        if text not in self.words:
            raise ValueError(f"{quoted(text)} is none of {', '.join(self.words)}")
        return text


class Option(NamedTuple):
    """A setting as an option of the command line, and in the documents."""

    commands: tuple[str, ...]
    """The commands that have it."""
    group: str
    """Its heading on the help page."""
    help: str
    """One line; the first sentence of the documents."""
    metavar: str | None = None
    more: str = ""
    """Further sentences of the documents."""
    unset: str = ""
    """The value if it is not set, unless its default shows that."""
    note: str = ""
    """The default in another unit."""
    values: str = ""
    """The accepted values, unless the reader shows them."""
    help_of: Mapping[str, str] = {}
    """The line on the help page of each command to which the setting means something else."""
    is_list: bool = False
    """Whether a flag that is repeated adds to the value, after a comma; of another one the last value counts."""


class CommandDefaults:
    """The defaults of a setting by command, if they differ."""

    def __init__(self, **by_command: Any) -> None:
        self.by_command = by_command


class Unusable(NamedTuple):
    """Takes the place of a value that cannot be used."""

    why: str


class Setting(NamedTuple):
    """One setting: its names, its default and how its text is read."""

    field: str
    variable: str
    default: Any
    kind: Any
    """`bool`, `int`, `float`, `str`, `Path`, or another type that its reader returns."""
    reader: Callable[[str], Any]
    option: Option | None = None
    defaults: Mapping[str, Any] = {}
    """The default of each command, if they differ."""

    @property
    def flag(self) -> str:
        """The flag as it is typed."""
        return f"--{self.field.replace('_', '-')}"

    @property
    def values(self) -> str:
        """The accepted values, for a document."""
        option = self.option
        return (option.values if option else "") or str(getattr(self.reader, "values", ""))

    def read(self, value: Any) -> Any:
        """Parse a text, and return its value or `Unusable`; a value that is parsed already is returned unchanged."""
        if not isinstance(value, str):
            return value
        try:
            return self.reader(value)
        except ValueError as error:
            return Unusable(str(error))

    def fault(self, unusable: Unusable, *, by_flag: bool = False) -> Fault:
        """Return a fault under the name of the flag or variable that gave the value."""
        return Fault(self.flag if by_flag else self.variable, unusable.why)

    def value_in(self, environ: Mapping[str, str]) -> Any:
        """Return the value of the variable; the default if it is empty, not set, or not usable."""
        text = environ.get(self.variable, "")
        value = self.read(text) if text else self.default
        return self.default if isinstance(value, Unusable) else value

    def default_of(self, command: str) -> Any:
        """Return the value for a command if nothing is set."""
        return self.defaults.get(command, self.default)


def settings_of(declaration: type[tuple[Any, ...]], *, prefix: str) -> dict[str, Setting]:
    """Return the settings that a `NamedTuple` class declares, by field, in order; variables begin with ``prefix``."""
    defaults: Mapping[str, Any] = declaration._field_defaults  # type: ignore[attr-defined]
    hints = get_type_hints(declaration, include_extras=True)
    return {field: _setting(field, hints[field], prefix, default) for field, default in defaults.items()}


def _setting(field: str, hint: Any, prefix: str, default: Any) -> Setting:
    extras: list[Any] = []
    if get_origin(hint) is Annotated:
        hint, *extras = get_args(hint)
    kind = next(one for one in get_args(hint) if one is not type(None)) if type(None) in get_args(hint) else hint
    return Setting(
        field,
        f"{prefix}{field.upper()}",
        default,
        str if get_origin(kind) is Literal else kind,
        next((extra for extra in extras if callable(extra)), None) or _reader_of(kind),
        next((extra for extra in extras if isinstance(extra, Option)), None),
        next((extra.by_command for extra in extras if isinstance(extra, CommandDefaults)), {}),
    )


def _reader_of(kind: Any) -> Callable[[str], Any]:
    if get_origin(kind) is Literal:
        return OneOf(*get_args(kind))
    if kind is bool:
        return Boolean()
    assert kind in (str, Path), f"{kind} needs a reader"
    return kind  # type: ignore[no-any-return]
