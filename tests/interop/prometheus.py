"""A real Prometheus on a free loopback port: it scrapes and evaluates rules each second."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from interop.install_prometheus import program
from interop.jaeger import answer_at, await_ready, free_addresses, stop_process

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Prometheus:
    """The HTTP API of a running Prometheus."""

    base: str

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and the value of each series, now."""
        data = self.ask("query", query=expression)
        assert data["resultType"] == "vector", expression
        return [(series["metric"], float(series["value"][1])) for series in data["result"]]

    def ask(self, path: str, **arguments: str) -> Any:
        """Return the data of an answer of the API."""
        answer = json.loads(answer_at(f"{self.base}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"))
        assert answer["status"] == "success", answer
        return answer["data"]


@contextlib.contextmanager
def running_prometheus(
    targets: Mapping[str, str], folder: Path, *, rules: Sequence[Path] = ()
) -> Generator[Prometheus]:
    """Run Prometheus until the block ends; ``targets`` has ``HOST:PORT`` by job, ``folder`` its data and its log.

    A RuntimeError with the end of the log where it is not ready in time.
    """
    (address,) = free_addresses(1)
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()
        ],
    }
    (folder / "prometheus.yaml").write_text(json.dumps(configuration), encoding="utf-8")  # JSON is YAML
    command = (
        program("prometheus"),
        f"--config.file={folder}/prometheus.yaml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    )
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        await_ready(process, (f"http://{address}/-/ready",), log, name="Prometheus")
        yield Prometheus(f"http://{address}")
    finally:
        stop_process(process)
