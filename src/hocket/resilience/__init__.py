"""Policies for calls that may fail, be slow, or be too many: each a file, a decorator, mostly a block, and a stage of a
`Pipeline`.

    from hocket.resilience import Bulkhead, CircuitBreaker, Pipeline, Retry, Timeout

    upstream = Pipeline(Timeout(2.0), Retry(attempts=3), CircuitBreaker(), Bulkhead(20, waiting=50))

    @upstream
    async def fetch(order): ...

They take the time from the running loop, and random numbers from `randomness`: in virtual time, and with a seed, they
do the same again.  `set_waiting` turns their waiting off in tests, and `listen` hears what they decide.
"""

from __future__ import annotations

import importlib as _importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hocket.resilience.adaptive import AdaptiveLimit
    from hocket.resilience.breaker import CircuitBreaker
    from hocket.resilience.bulkhead import Bulkhead
    from hocket.resilience.chaos import InjectError, InjectHang, InjectLatency, InjectResult
    from hocket.resilience.errors import (
        BulkheadFull,
        CircuitOpen,
        Overloaded,
        PoolClosed,
        PoolExhausted,
        RateLimited,
        Refused,
    )
    from hocket.resilience.events import Decision, listen
    from hocket.resilience.fallback import Fallback
    from hocket.resilience.hedge import Hedge
    from hocket.resilience.loop_delay import LoopDelay
    from hocket.resilience.matters import Importance, current_importance, importance
    from hocket.resilience.patience import no_waiting, set_waiting
    from hocket.resilience.pipeline import Pipeline
    from hocket.resilience.policy import Policy
    from hocket.resilience.pool import Pool
    from hocket.resilience.rate import LeakyBucket, RateLimiter
    from hocket.resilience.retry import Attempt, Retry
    from hocket.resilience.retry_budget import RetryBudget
    from hocket.resilience.retry_header import retry_after
    from hocket.resilience.shedding import LoadShedder
    from hocket.resilience.statistics import (
        AdaptiveStatistics,
        BreakerStatistics,
        BulkheadStatistics,
        ChaosStatistics,
        FallbackStatistics,
        HedgeStatistics,
        PipelineStatistics,
        PoolStatistics,
        RateStatistics,
        RetryBudgetStatistics,
        RetryStatistics,
        ShedderStatistics,
        TimeoutStatistics,
    )
    from hocket.resilience.timeout import Timeout
    from hocket.structured.backoff import Backoff
    from hocket.structured.randomness import randomness, replace_randomness

__all__ = [
    "AdaptiveLimit",
    "AdaptiveStatistics",
    "Attempt",
    "Backoff",
    "BreakerStatistics",
    "Bulkhead",
    "BulkheadFull",
    "BulkheadStatistics",
    "ChaosStatistics",
    "CircuitBreaker",
    "CircuitOpen",
    "Decision",
    "Fallback",
    "FallbackStatistics",
    "Hedge",
    "HedgeStatistics",
    "Importance",
    "InjectError",
    "InjectHang",
    "InjectLatency",
    "InjectResult",
    "LeakyBucket",
    "LoadShedder",
    "LoopDelay",
    "Overloaded",
    "Pipeline",
    "PipelineStatistics",
    "Policy",
    "Pool",
    "PoolClosed",
    "PoolExhausted",
    "PoolStatistics",
    "RateLimited",
    "RateLimiter",
    "RateStatistics",
    "Refused",
    "Retry",
    "RetryBudget",
    "RetryBudgetStatistics",
    "RetryStatistics",
    "ShedderStatistics",
    "Timeout",
    "TimeoutStatistics",
    "current_importance",
    "importance",
    "listen",
    "no_waiting",
    "randomness",
    "replace_randomness",
    "retry_after",
    "set_waiting",
]

#: Module: what is found here of it.  Imported when asked for.
_ON_DEMAND = {
    "adaptive": "AdaptiveLimit",
    "breaker": "CircuitBreaker",
    "bulkhead": "Bulkhead",
    "chaos": "InjectError InjectHang InjectLatency InjectResult",
    "errors": "BulkheadFull CircuitOpen Overloaded PoolClosed PoolExhausted RateLimited Refused",
    "events": "Decision listen",
    "fallback": "Fallback",
    "hedge": "Hedge",
    "matters": "Importance current_importance importance",
    "loop_delay": "LoopDelay",
    "patience": "no_waiting set_waiting",
    "pipeline": "Pipeline",
    "policy": "Policy",
    "pool": "Pool",
    "rate": "LeakyBucket RateLimiter",
    "retry": "Attempt Retry",
    "retry_budget": "RetryBudget",
    "retry_header": "retry_after",
    "shedding": "LoadShedder",
    "statistics": "AdaptiveStatistics BreakerStatistics RetryBudgetStatistics BulkheadStatistics ChaosStatistics "
    "FallbackStatistics HedgeStatistics PipelineStatistics PoolStatistics RateStatistics RetryStatistics "
    "ShedderStatistics TimeoutStatistics",
    "timeout": "Timeout",
}
_MODULES = {name: f"hocket.resilience.{module}" for module, names in _ON_DEMAND.items() for name in names.split()} | {
    # Others have them, too.
    "Backoff": "hocket.structured.backoff",
    "randomness": "hocket.structured.randomness",
    "replace_randomness": "hocket.structured.randomness",
}


def __getattr__(name: str) -> Any:
    try:
        module = _MODULES[name]
    except KeyError:
        raise AttributeError(f"module 'hocket.resilience' has no attribute {name!r}") from None
    found = getattr(_importlib.import_module(module), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
