"""What follows requests through tasks: structlog, OpenTelemetry, Sentry, Datadog."""

from __future__ import annotations

from .workplace import ToolWorkplace

TOOL = "structlog, OpenTelemetry, Sentry, ddtrace"
PACKAGES = ("structlog", "opentelemetry-sdk", "sentry-sdk", "ddtrace")


def test_structlog(workplace: ToolWorkplace) -> None:
    """Bound context variables are inherited by tasks and threads, and not shared between tasks."""
    found = workplace.program(
        """
        import asyncio, json
        import hocket, structlog

        async def child(name):
            structlog.contextvars.bind_contextvars(child=name)
            await asyncio.sleep(0)
            return await asyncio.to_thread(structlog.contextvars.get_contextvars)

        async def main():
            structlog.contextvars.bind_contextvars(request=7)
            found = await asyncio.gather(child("a"), child("b"))
            return [*found, structlog.contextvars.get_contextvars()]

        print(json.dumps(hocket.run(main())))
        """
    )
    assert found == [{"request": 7, "child": "a"}, {"request": 7, "child": "b"}, {"request": 7}]


def test_opentelemetry(workplace: ToolWorkplace) -> None:
    """Spans of child tasks have the parent's span as their parent, also after waits and in callbacks."""
    found = workplace.program(
        """
        import asyncio, json
        import hocket
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("test")

        def called():
            with tracer.start_as_current_span("called"):
                pass

        async def child(name):
            with tracer.start_as_current_span(name):
                await asyncio.sleep(0)
                asyncio.get_running_loop().call_soon(called)
                await asyncio.sleep(0.01)

        async def main():
            with tracer.start_as_current_span("main"):
                async with asyncio.TaskGroup() as group:
                    group.create_task(child("a"))
                    group.create_task(child("b"))

        hocket.run(main())
        spans = exporter.get_finished_spans()
        names = {span.context.span_id: span.name for span in spans}
        parents = [names.get(span.parent.span_id) if span.parent else None for span in spans]
        print(json.dumps(sorted([span.name, parent] for span, parent in zip(spans, parents))))
        """
    )
    assert found == [["a", "main"], ["b", "main"], ["called", "a"], ["called", "b"], ["main", None]]


def test_sentry(workplace: ToolWorkplace) -> None:
    """Sentry's AsyncioIntegration, which sets a task factory: errors of tasks are reported, scopes are per task."""
    found = workplace.program(
        """
        import asyncio, json
        import hocket, sentry_sdk
        from sentry_sdk.integrations.asyncio import AsyncioIntegration
        from sentry_sdk.transport import Transport

        events = []

        class Kept(Transport):
            def capture_envelope(self, envelope):
                events.append(envelope.get_event() or envelope.get_transaction_event())

        async def fail():
            sentry_sdk.set_tag("where", "child")
            await asyncio.sleep(0)
            raise ValueError("on purpose")

        async def main():
            integrations = [AsyncioIntegration()]
            sentry_sdk.init("http://key@localhost/1", transport=Kept, integrations=integrations, traces_sample_rate=1.0)
            with sentry_sdk.start_transaction(name="main"):
                task = asyncio.create_task(fail(), name="failing")
                await asyncio.wait([task])
            return task.get_name(), type(task.exception()).__name__, sentry_sdk.get_isolation_scope()._tags.get("where")

        result = hocket.run(main())
        errors = [event for event in events if event.get("exception")]
        spans = [span["description"] for event in events for span in event.get("spans") or []]
        print(json.dumps([*result, errors[0]["exception"]["values"][0]["type"], errors[0]["tags"], spans]))
        """
    )
    name, error, outside, reported, tags, spans = found
    # From Python 3.13.3 on asyncio leaves the name to the factory, and Sentry's gives a name of its own.
    assert name in ("failing", "fail (Sentry-wrapped)")
    assert (error, outside, reported, tags) == ("ValueError", None, "ValueError", {"where": "child"})
    assert spans == ["fail"]


def test_ddtrace(workplace: ToolWorkplace) -> None:
    """ddtrace's patches of asyncio (`ddtrace-run`, `import ddtrace.auto`): spans of tasks belong to their parents."""
    found = workplace.program(
        """
        import ddtrace.auto
        import asyncio, json
        import hocket
        from ddtrace.trace import TraceFilter, tracer

        kept = []

        class Keep(TraceFilter):
            def process_trace(self, trace):
                kept.extend(trace)
                return None

        tracer.configure(trace_processors=[Keep()])

        async def child():
            with tracer.trace("child"):
                await asyncio.sleep(0.01)

        async def main():
            with tracer.trace("main"):
                await asyncio.gather(child(), asyncio.create_task(child()))

        hocket.run(main())
        tracer.flush()
        names = {span.span_id: span.name for span in kept}
        print(json.dumps(sorted([span.name, names.get(span.parent_id)] for span in kept)))
        """,
        DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
        DD_REMOTE_CONFIGURATION_ENABLED="false",
        DD_TRACE_STARTUP_LOGS="false",
    )
    assert found == [["child", "main"], ["child", "main"], ["main", None]]


def test_ddtrace_profiler(workplace: ToolWorkplace) -> None:
    """ddtrace's profiler, which reads asyncio's tasks from memory, samples a hocket program without harm to it."""
    found = workplace.program(
        """
        import asyncio, json, time
        from ddtrace.profiling import Profiler
        import hocket

        async def busy():
            for _ in range(50):
                until = time.perf_counter() + 0.01
                while time.perf_counter() < until:
                    pass
                await asyncio.sleep(0)
            return "done"

        async def main():
            return await asyncio.gather(*(busy() for _ in range(2)))

        profiler = Profiler()
        profiler.start()
        result = hocket.run(main())
        profiler.stop(flush=False)
        print(json.dumps(result))
        """,
        DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
        DD_REMOTE_CONFIGURATION_ENABLED="false",
    )
    assert found == ["done", "done"]
