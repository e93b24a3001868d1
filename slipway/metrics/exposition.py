"""Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/."""

from collections.abc import Iterable
from dataclasses import dataclass, field

ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True)
class Sample:
    """One value of a gauge."""

    value: float
    labels: dict[str, str] = field(default_factory=dict)

    def line(self, name: str) -> str:
        """The sample as a line."""
        labels = ",".join(f'{label}="{value.translate(ESCAPES)}"' for label, value in self.labels.items())
        return f"{name}{{{labels}}} {self.value!r}" if labels else f"{name} {self.value!r}"


@dataclass(frozen=True)
class Gauge:
    """A gauge with its samples."""

    name: str
    help: str
    samples: list[Sample]


def text(gauges: Iterable[Gauge]) -> str:
    """All gauges; one without samples is left out."""
    lines = []
    for gauge in gauges:
        if gauge.samples:
            lines += [f"# HELP {gauge.name} {gauge.help}", f"# TYPE {gauge.name} gauge"]
            lines += [sample.line(gauge.name) for sample in gauge.samples]
    return "".join(f"{line}\n" for line in lines)
