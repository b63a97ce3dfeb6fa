"""What Jaeger's query API shows of the recording in examples/, as the page docs/jaeger.md: `page_of`.

``PYTHONPATH=tests python -m interop.jaeger_page`` writes it. It has no versions, so that an update leaves it as it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from interop.install_jaeger import find_binary
from interop.jaeger import running_jaeger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from interop.jaeger import AttributeValue, Jaeger, ShownSpan

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/jaeger.md"
RECORDING = "examples/legacy-backup/recording.ndjson"

_KINDS = {1: "internal", 3: "client"}
_STATUSES = {0: "unset", 2: "error"}
_NS_PER_MS = 1_000_000
_SEND_SECONDS = 60.0
_HEAD = f"""\
# A trace in Jaeger

What Jaeger's query API (`/api/v3/traces`) returns of the recording in `examples/legacy-backup`, sent by

```sh
OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 csm-otel replay {RECORDING}
```

`PYTHONPATH=tests python -m interop.jaeger_page` writes this page, with the Jaeger that `make interop` builds, and
`make interop` compares it. [spans.md](spans.md) has the meaning of each attribute.
"""


def page_of(jaeger: Jaeger) -> str:
    """Send the recording to Jaeger, query its trace, and return the page."""
    _replay(jaeger)
    spans = _in_order(jaeger.trace(_trace_id()))
    first_retry = next(span for span in spans if "http.request.resend_count" in span.attributes)
    retried = next(span for span in spans if span.span_id == first_retry.parent_id)
    failed = next(span for span in spans if span.events)
    parts = [
        _HEAD,
        "## The spans\n",
        _table(("Span", "Kind", "After", "Lasts", "Status", "HTTP", "Error"), _rows(spans)),
        f"## A call: `{retried.name}`, which was retried\n",
        _attributes(retried.attributes),
        "## Its second attempt\n",
        _attributes(first_retry.attributes),
        f"## The event of a failure: `{failed.name}`\n",
        _attributes({"name": failed.events[0][0], **failed.events[0][1]}),
        "## The resource of all spans\n",
        _attributes({key: value for key, value in spans[0].resource.items() if not key.startswith("telemetry.")}),
        "Beside these, `telemetry.sdk.*` and `telemetry.distro.*` name the versions of OpenTelemetry and csm-otel.\n",
    ]
    return "\n".join(parts)


def _replay(jaeger: Jaeger) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "CSM_OTEL_"))}
    subprocess.run(
        [sys.executable, "-m", "csm_otel", "replay", ROOT / RECORDING],
        env={**environ, "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_http},
        capture_output=True,
        check=True,
        timeout=_SEND_SECONDS,
    )


def _trace_id() -> str:
    with (ROOT / RECORDING).open(encoding="utf-8") as lines:
        context: str = json.loads(next(lines))["context"]
    return context.split("-")[1]


def _in_order(spans: Iterable[ShownSpan]) -> list[ShownSpan]:
    """Return the spans as a tree: each followed by those below it, by their start."""
    below: dict[str, list[ShownSpan]] = {}
    for span in sorted(spans, key=lambda each: (each.start_ns, each.end_ns, each.span_id)):
        below.setdefault(span.parent_id, []).append(span)

    def tree(parent_id: str) -> Iterator[ShownSpan]:
        for span in below.get(parent_id, ()):
            yield span
            yield from tree(span.span_id)

    return list(tree(""))


def _rows(spans: list[ShownSpan]) -> Iterator[tuple[str, ...]]:
    depths = {"": -1}
    for span in spans:
        depths[span.span_id] = depths[span.parent_id] + 1
        yield (
            "&emsp;" * depths[span.span_id] + f"`{span.name}`",
            _KINDS[span.kind],
            f"{_ms(span.start_ns - spans[0].start_ns)} ms",
            f"{_ms(span.end_ns - span.start_ns)} ms",
            _STATUSES[span.status],
            str(span.attributes.get("http.response.status_code", "")),
            str(span.attributes.get("error.type", "")),
        )


def _ms(nanoseconds: int) -> int:
    return (nanoseconds + _NS_PER_MS // 2) // _NS_PER_MS


def _attributes(attributes: Mapping[str, AttributeValue]) -> str:
    rows = ((f"`{key}`", f"`{json.dumps(value)}`") for key, value in sorted(attributes.items()))
    return _table(("Attribute", "Value"), rows)


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" if cells[0] != "---" else f"|{'|'.join(cells)}|\n" for cells in lines)


if __name__ == "__main__":
    binary = find_binary()
    if binary is None:
        sys.exit("Jaeger is not installed: make interop does it")
    with tempfile.TemporaryDirectory() as folder, running_jaeger(binary, Path(folder) / "log") as running:
        PAGE.write_text(page_of(running), encoding="utf-8")
