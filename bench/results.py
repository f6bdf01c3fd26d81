"""What the samples amount to: medians, spread and ratios. No I/O, and nothing about how a sample was made."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from bench.case import FLOOR, Sample, Selected
from bench.loops import BASELINE


@dataclass
class Contender:
    """The samples of one loop (or the floor) in one case, one for each round that gave a number."""

    loop: str
    samples: list[Sample] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    description: dict[str, Any] | None = None

    def median(self, metric: str) -> float | None:
        """None unless every round gave a number: a median of the lucky rounds is not a result."""
        if self.failures or not self.samples:
            return None
        values = [sample[metric] for sample in self.samples if metric in sample]
        return statistics.median(values) if values else None

    def spread(self, metric: str) -> tuple[float, float]:
        values = [sample[metric] for sample in self.samples]
        return min(values), max(values)


@dataclass
class Result:
    """Every contender of one case, and what compares them: ratios of medians, below 1 being better than the other."""

    selected: Selected
    contenders: dict[str, Contender]

    @property
    def headline(self) -> str:
        return self.selected.case.headline.key

    def median(self, loop: str) -> float | None:
        contender = self.contenders.get(loop)
        return contender.median(self.headline) if contender else None

    def best_other(self, loop: str) -> str | None:
        """The fastest of the other loops; the floor is not a loop."""
        others = {
            name: median
            for name in self.contenders
            if name not in (loop, FLOOR) and (median := self.median(name)) is not None
        }
        return min(others, key=others.__getitem__) if others else None

    def ratio(self, loop: str, other: str | None) -> float | None:
        mine = self.median(loop)
        theirs = self.median(other) if other is not None else None
        return mine / theirs if mine is not None and theirs else None

    def ratios(self, loop: str) -> dict[str, float | None]:
        return {
            BASELINE: self.ratio(loop, BASELINE),
            "best_other": None if loop == FLOOR else self.ratio(loop, self.best_other(loop)),
            FLOOR: self.ratio(loop, FLOOR),
        }

    def in_order(self) -> list[Contender]:
        """The floor first, then the fastest; what failed comes last."""

        def position(contender: Contender) -> tuple[bool, float]:
            median = contender.median(self.headline)
            return contender.loop != FLOOR, float("inf") if median is None else median

        return sorted(self.contenders.values(), key=position)


def as_json(result: Result) -> dict[str, Any]:
    case = result.selected.case
    metrics = [case.headline, *case.columns]
    return {
        "case": case.name,
        "variant": result.selected.variant,
        "summary": case.summary,
        "operation": case.operation,
        "headline": result.headline,
        "loops": [
            {
                "loop": contender.loop,
                "implementation": contender.description,
                "medians": {metric.key: contender.median(metric.key) for metric in metrics},
                "spread": list(contender.spread(result.headline)) if contender.samples else None,
                "ratios": result.ratios(contender.loop),
                "best_other": result.best_other(contender.loop),
                "samples": contender.samples,
                "failures": contender.failures,
            }
            for contender in result.in_order()
        ],
    }
