"""The coroutines of the policies: whole and uncompiled, so that they are coroutines to everybody."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from hocket.resilience.policy import Guard, Guards, Passage, Policy

#: A function that gives something to await.
Function = Callable[..., Any]


def guarded(guards: tuple[Guard, ...], function: Function) -> Function:
    """*function* behind *guards*."""
    enter = Guards(guards).enter

    async def call_guarded(*args: Any, **kwargs: Any) -> Any:
        passage = enter()
        if passage.waits is not None:
            await wait_at(passage)
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            passage.fail(error)
            raise
        passage.leave()
        return result

    return call_guarded


async def wait_at(passage: Passage) -> None:
    """Wait until every guard has let the call in."""
    while passage.waits is not None:
        try:
            await passage.waits
        except BaseException as error:
            passage.fail(error)
            raise
        passage.go_on()


def surrounded(policy: Any, function: Function) -> Function:
    """*function* as *policy*, which is no guard, runs it."""
    run = policy.run
    partial = functools.partial

    def call_surrounded(*args: Any, **kwargs: Any) -> Any:
        return run(partial(function, *args, **kwargs))

    return call_surrounded


def under(policies: tuple[Policy, ...], function: Function) -> Function:
    """*function* under *policies*, the outermost first.  Guards that follow each other are passed in one go."""
    guards: list[Guard] = []
    for policy in reversed(policies):
        if isinstance(policy, Guard):
            guards.insert(0, policy)
            continue
        if guards:
            function = guarded(tuple(guards), function)
            guards = []
        function = policy.bind(function)
    return guarded(tuple(guards), function) if guards else function


def stages_of(policy: Any) -> tuple[Policy, ...]:
    """The policies that a call under *policy* goes through."""
    return policy.stages if hasattr(policy, "stages") else (policy,)


def decorate(policy: Policy, function: Function) -> Function:
    """A coroutine function that calls *function* under *policy*."""
    check_function(policy, function)
    call = under(stages_of(policy), function)
    if inspect.iscoroutinefunction(call):
        return functools.update_wrapper(call, function)

    @functools.wraps(function)
    async def decorated(*args: Any, **kwargs: Any) -> Any:
        return await call(*args, **kwargs)

    return decorated


def check_function(policy: Policy, function: Any) -> None:
    """Refuse what cannot be called and awaited, as far as one can see it."""
    if not callable(function):
        raise TypeError(f"{policy!r} expected a coroutine function, got {function!r}")
    plain_function = inspect.isfunction(function) or inspect.ismethod(function)
    if inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{policy!r} cannot surround {function.__qualname__}(): an asynchronous generator runs piecemeal"
        )
    if plain_function and not inspect.iscoroutinefunction(function) and inspect.isgeneratorfunction(function):
        raise TypeError(f"{policy!r} expected a coroutine function, got the generator {function.__qualname__}()")
    if plain_function and not inspect.iscoroutinefunction(function) and not hasattr(function, "__wrapped__"):
        raise TypeError(
            f"{policy!r} expected a coroutine function, got {function.__qualname__}(), which cannot be awaited;"
            " policy.call() takes any function that returns an awaitable"
        )


# -- Blocks


async def enter_block(policy: Policy, guards: tuple[Guard, ...]) -> Policy:
    """``async with``: pass *guards*, and remember for whom."""
    passage = Guards(guards).enter()
    if passage.waits is not None:
        await wait_at(passage)
    if policy._blocks is None:
        policy._blocks = {}
    policy._blocks.setdefault(this_task(), []).append(passage)
    return policy


async def leave_block(policy: Policy, error: BaseException | None) -> None:
    """The end of ``async with``."""
    task = this_task()
    blocks = policy._blocks or {}
    passages = blocks.get(task)
    if not passages:
        raise RuntimeError(f"{policy!r}: the block was entered in another task")
    passage = passages.pop()
    if not passages:
        del blocks[task]
    if error is None:
        passage.leave()
    else:
        passage.fail(error)


def this_task() -> Any:
    """The running task; `RuntimeError` outside of one."""
    import asyncio

    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a policy stands around blocks in tasks only")
    return task
