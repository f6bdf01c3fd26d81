"""What policies cost a call that none of them has anything to say about: five of them, and none has to wait.

That is the price of every call of a service, all day long; what they cost when they do something is little beside what
they then do.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bench.case import Metric, Probe, Sample

REPEATS = 15


async def call() -> int:
    return 7


async def took(function: Callable[[], Awaitable[int]], times: int) -> float:
    """CPU nanoseconds a call."""
    begun = time.process_time_ns()
    for _ in range(times):
        await function()
    return (time.process_time_ns() - begun) / times


async def pipeline(times: int, api: Any) -> Sample:
    """The same calls with and without, in turns."""
    policies = api.resilience
    around = policies.Pipeline(
        policies.Timeout(60.0),
        policies.Retry(attempts=3),
        policies.CircuitBreaker(),
        policies.RateLimiter(1e9),
        policies.Bulkhead(100),
    )
    guarded = around(call)
    if await guarded() != 7:
        raise RuntimeError("the pipeline changes the answer")
    bare, whole = [], []
    for _ in range(REPEATS):
        bare.append(await took(call, times // REPEATS))
        whole.append(await took(guarded, times // REPEATS))
    calls, guarded_calls = statistics.median(bare), statistics.median(whole)
    return {"cost_ns": guarded_calls - calls, "call_ns": calls, "guarded_ns": guarded_calls}


CASE = Probe(
    "pipeline",
    "a call through timeout, retry, breaker, rate limiter and bulkhead, less the call itself",
    "call",
    pipeline,
    Metric("cost_ns", "CPU ns", 0),
    (Metric("call_ns", "the call, ns", 0), Metric("guarded_ns", "with policies, ns", 0)),
    counts={"": 150_000},
    quick_count=1_500,
    uses=("resilience",),
    own_only=True,
)
