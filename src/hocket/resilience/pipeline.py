"""`Pipeline`: several policies around one call, in an order that one can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hocket.resilience import calls
from hocket.resilience.policy import Guard, Policy

if TYPE_CHECKING:
    from hocket.resilience.statistics import PipelineStatistics


class Pipeline(Policy):
    """Policies around a call, the outermost first, as stages of one policy.

    For a call of another service, from the outside::

        upstream = Pipeline(
            Timeout(2.0),                         # for everything, waits and retries included
            Retry(attempts=3),                    # what may pass, with backoff, within the budget
            CircuitBreaker(),                     # does not ask a service that is down
            RateLimiter(100, burst=20),           # what has been agreed on
            Bulkhead(20, waiting=50),             # at most so many at once
        )

        @upstream
        async def fetch(order): ...

    A stage that is a pipeline is taken apart into its stages.  If all are guards, it also stands around a block:
    ``async with upstream: ...``.  Policies are shared: two pipelines with one breaker share what it knows.

    Raises `ValueError` without stages, or if one policy stands in it twice, and `TypeError` for what is no policy.
    """

    #: The policies, the outermost first.
    stages: tuple[Policy, ...]

    def __init__(self, *stages: Policy, name: str | None = None) -> None:
        super().__init__(name)
        flat: list[Policy] = []
        for stage in stages:
            if not isinstance(stage, Policy):
                raise TypeError(f"Pipeline: a stage is a policy, got {stage!r}")
            flat += stage.stages if isinstance(stage, Pipeline) else [stage]
        if not flat:
            raise ValueError("Pipeline: expected at least one policy")
        for index, stage in enumerate(flat):
            if not isinstance(stage, Guard) and not hasattr(stage, "run"):
                raise TypeError(f"Pipeline: {stage!r} cannot be a stage: {stage.no_block}")
            if any(stage is other for other in flat[:index]):
                raise ValueError(f"Pipeline: {stage!r} stands in it twice, and would wait for itself")
        self.stages = tuple(flat)
        runs = [stage for stage in flat if not isinstance(stage, Guard)]
        self._no_block = f"{runs[0]!r} cannot stand around a block" if runs else None

    @property
    def no_block(self) -> str | None:  # type: ignore[override]
        """Why it cannot stand around a block; None: it can."""
        return self._no_block

    def statistics(self) -> PipelineStatistics:
        """The statistics of all stages."""
        from hocket.resilience import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.PipelineStatistics(tuple((stage.name, stage.statistics()) for stage in self.stages))

    def __aenter__(self) -> Any:
        if self._no_block is not None:
            return super().__aenter__()
        return calls.enter_block(self, self.stages)  # type: ignore[arg-type]

    def __aexit__(self, kind: Any, error: Any, traceback: Any) -> Any:
        if self._no_block is not None:
            return super().__aexit__(kind, error, traceback)
        return calls.leave_block(self, error)
