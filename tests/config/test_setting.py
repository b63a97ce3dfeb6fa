"""The parsing of a setting's text, and the content of its declaration."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pytest

from csm_otel.config.setting import (
    Address,
    AddressReader,
    Boolean,
    CommandDefaults,
    Number,
    OneOf,
    Option,
    Setting,
    Unusable,
    settings_of,
)
from csm_otel.errors import Fault


class _Declared(NamedTuple):
    plain: str = ""
    flagged: bool = False
    folder: Path | None = None
    level: Annotated[int | None, Number(1, 9), Option(("serve",), "limits", "how much", "N")] = None
    mode: Literal["a", "b"] = "a"
    listed: Annotated[tuple[str, ...], lambda text: tuple(text.split(","))] = ()
    wait: Annotated[float | None, Number(0, kind=float), CommandDefaults(serve=8.0)] = None


SETTINGS = settings_of(_Declared, prefix="X_")


@pytest.mark.parametrize(
    ("text", "expected"),
    [(text, True) for text in ("true", "TRUE", "1", "t", "yes", "y", "on", " On ")]
    + [(text, False) for text in ("false", "False", "0", "f", "no", "n", "off")],
)
def test_boolean(text: str, expected: bool) -> None:  # ruff: ignore[boolean-type-hint-positional-argument]
    """Yes and no have the usual spellings of configuration files."""
    assert Boolean()(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("31001", Address("127.0.0.1", 31_001)),
        (" 0 ", Address("127.0.0.1", 0)),
        ("0.0.0.0:31001", Address("0.0.0.0", 31_001)),
        ("localhost:65535", Address("localhost", 65_535)),
        ("[::]:31001", Address("::", 31_001)),
        ("[fe80::1%eth0]:1", Address("fe80::1%eth0", 1)),
    ],
)
def test_address(text: str, expected: Address) -> None:
    """A port may have a host in front of it, an address of IPv6 in brackets."""
    assert AddressReader()(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("x", "-1", "65536", ":31001", "host", "host:", "host:65536", "a b:1", "http://127.0.0.1:31001"),
        *("a\nb:1", "a\x1b:1", "a\udcff:1"),
        *("::1", "::1:31001", "[::1]", "[::1]31001", "[]:1", "[127.0.0.1]:1", "[::1]:31001/healthz"),
    ],
)
def test_no_address(text: str) -> None:
    """Anything else is rejected with the forms that there are."""
    with pytest.raises(ValueError, match=r"is neither a port from 0 to 65535 nor HOST:PORT or \[IPv6\]:PORT$"):
        AddressReader()(text)


@pytest.mark.parametrize(
    ("reader", "text", "why"),
    [
        pytest.param(Boolean(), "perhaps", "'perhaps' is neither true nor false", id="boolean"),
        pytest.param(Number(0, 9), "10", "'10' is not a whole number from 0 to 9", id="above"),
        pytest.param(Number(1), "0", "'0' is not a whole number of 1 or more", id="below"),
        pytest.param(Number(0), "1.5", "'1.5' is not a whole number of 0 or more", id="fraction"),
        pytest.param(Number(0), "1.0.0", "'1.0.0' is not a whole number of 0 or more", id="two-points"),
        pytest.param(Number(0), "5.", "'5.' is not a whole number of 0 or more", id="nothing-behind-the-point"),
        pytest.param(Number(0), ".0", "'.0' is not a whole number of 0 or more", id="nothing-before-the-point"),
        pytest.param(Number(0), "\u0663", "'\u0663' is not a whole number of 0 or more", id="other-digits"),
        pytest.param(Number(0, kind=float), "\u0663", "'\u0663' is not a number of 0 or more", id="other-digits-float"),
        pytest.param(Number(0), "9" * 5_000, f"'{'9' * 40}'... is not a whole number of 0 or more", id="digits"),
        pytest.param(Number(0, 1, float), "nan", "'nan' is not a number from 0 to 1", id="nan"),
        pytest.param(Number(0.5, kind=float), "x", "'x' is not a number of 0.5 or more", id="word"),
        pytest.param(OneOf("a", "b"), "A", "'A' is none of a, b", id="choice"),
        pytest.param(OneOf("a"), "k=hunter2", "a text with '=' is none of a", id="secret"),
    ],
)
def test_unusable(reader: Any, text: str, why: str) -> None:
    """A fault is described in a few words, without possible secrets."""
    with pytest.raises(ValueError) as caught:  # ruff: ignore[pytest-raises-too-broad]
        reader(text)

    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("reader", "text", "expected"),
    [
        pytest.param(Number(0, 9), "0", 0, id="lowest"),
        pytest.param(Number(0, 9), "9", 9, id="highest"),
        pytest.param(Number(0), "31999.0", 31999, id="without-a-fraction"),
        pytest.param(Number(0), " 7.000 ", 7, id="blanks"),
        pytest.param(Number(0, kind=float), "2.5", 2.5, id="float"),
        pytest.param(Number(0, math.inf, float), "1e300", 1e300, id="no-upper-bound"),
        pytest.param(OneOf("a", "b"), "b", "b", id="choice"),
    ],
)
def test_usable(reader: Any, text: str, expected: object) -> None:
    """Bounds are included."""
    assert reader(text) == expected


@pytest.mark.parametrize(
    ("reader", "expected"),
    [
        (Number(0, 65_535), "0 to 65535"),
        (Number(1), "from 1"),
        (Number(0.001, 1_000_000, float), "0.001 to 1000000"),
        (Number(2**20, unit="bytes"), "from 1 MiB"),
        (Number(4096, 2**30, unit="bytes"), "4096 to 1 GiB"),
        (OneOf("a", "b"), "`a`, `b`"),
        (Boolean(), ""),
    ],
)
def test_values(reader: Any, expected: str) -> None:
    """The accepted values are shown in a document."""
    assert reader.values == expected


def test_a_declaration() -> None:
    """Each field is a setting with the names, the type and the default of its declaration."""
    assert list(SETTINGS) == list(_Declared._fields)
    assert [(one.kind, one.default) for one in SETTINGS.values()] == [
        (str, ""),
        (bool, False),
        (Path, None),
        (int, None),
        (str, "a"),
        (tuple[str, ...], ()),
        (float, None),
    ]
    assert (SETTINGS["level"].flag, SETTINGS["level"].variable) == ("--level", "X_LEVEL")
    assert SETTINGS["level"].option == Option(("serve",), "limits", "how much", "N")


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("plain", "x", "x"),
        ("flagged", "on", True),
        ("folder", "/tmp/x", Path("/tmp/x")),
        ("level", "9", 9),
        ("mode", "b", "b"),
        ("listed", "a,b", ("a", "b")),
        ("wait", "1", 1.0),
        ("level", "10", Unusable("'10' is not a whole number from 1 to 9")),
        ("mode", "c", Unusable("'c' is none of a, b")),
    ],
)
def test_read(field: str, text: str, expected: object) -> None:
    """A text is parsed by its field's annotation; an unusable one gives a value, too."""
    assert SETTINGS[field].read(text) == expected


def test_a_parsed_value() -> None:
    """A value that is not a text any more is returned unchanged."""
    assert SETTINGS["folder"].read(Path("x")) == Path("x")
    assert SETTINGS["level"].read(None) is None


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({}, None), ({"X_LEVEL": ""}, None), ({"X_LEVEL": "3"}, 3), ({"X_LEVEL": "10"}, None), ({"x_level": "3"}, None)],
)
def test_value_in_an_environment(environ: dict[str, str], expected: int | None) -> None:
    """The default applies if a variable is not set, empty or unusable."""
    assert SETTINGS["level"].value_in(environ) == expected


def test_fault() -> None:
    """A fault has the name of the flag or variable that gave the value."""
    setting: Setting = SETTINGS["level"]

    assert setting.fault(Unusable("no")) == Fault("X_LEVEL", "no")
    assert setting.fault(Unusable("no"), by_flag=True) == Fault("--level", "no")


def test_defaults_by_command() -> None:
    """A command may have its own default."""
    assert (SETTINGS["wait"].default_of("serve"), SETTINGS["wait"].default_of("exec")) == (8.0, None)
