"""Slices on other machines: workers of a Dask scheduler, over mutual TLS. The only module that imports Dask."""

from __future__ import annotations

import asyncio
import json
import queue
import threading
import uuid
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kraken_fleet.errors import FleetError
from kraken_fleet.scale.events import SLICE_EVENTS, SliceEnded, SliceEvent, SliceStarted, slice_event, to_dict
from kraken_fleet.scale.packages import ansible_runner, needed
from kraken_fleet.scale.pipe import SliceProcess
from kraken_fleet.scale.runner import Slice
from kraken_fleet.scale.tls import TlsFiles
from kraken_fleet.state import state_dir

if TYPE_CHECKING:
    from distributed import Client, Future

# Seconds: until the scheduler answers, until it has a worker, and between two looks whether a slice is still wanted.
_CONNECT, _WORKERS, _LOOK = 20, 30, 1.0
_AGAIN = "Run the same command again: what is done already takes little time"


@dataclass
class DaskRunner:
    """Lets the workers of a scheduler run slices. A slice whose worker is lost goes to another one.

    Args:
        address: of the scheduler, `tls://HOST:PORT`.
        tls: this machine's certificate.

    Raises:
        FleetError: Dask is not installed.
    """

    address: str
    tls: TlsFiles
    begun: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        _distributed()

    def run(self, slices: Sequence[Slice]) -> Generator[SliceEvent, None, None]:
        """Run the slices; see Runner."""
        self.begun.clear()
        with _client(self.address, self.tls) as client:
            # Several deploys may share a scheduler. For a key that it knows, it gives back the result that it has.
            deploy = f"kraken-fleet-{uuid.uuid4().hex}"
            events: queue.Queue[SliceEvent | Future[Any]] = queue.Queue()
            client.subscribe_topic(deploy, lambda event: events.put(slice_event(json.loads(event[1]))))
            # What a worker has begun meanwhile is not known when its word has not come yet.
            self.begun.update(one.number for one in slices)
            left = {
                client.submit(_deploy_on_worker, one.to_json(), deploy, key=f"{deploy}-{one.number}", pure=False): one
                for one in slices
            }
            for future in left:
                future.add_done_callback(events.put)
            while left:
                event = events.get()
                if not isinstance(event, SLICE_EVENTS):
                    yield _ended(event, left.pop(event))
                elif any(one.number == event.slice for one in left.values()):
                    yield event


def _client(address: str, tls: TlsFiles) -> Client:
    distributed = _distributed()
    try:
        client: Client = distributed.Client(address, security=_security(tls), timeout=_CONNECT, set_as_default=False)
    except (OSError, TimeoutError) as error:
        hint = "Check the address and the certificates; see docs/scale.md"
        raise FleetError(f"The scheduler does not answer: {error}", where=address, hint=hint) from error
    try:
        client.wait_for_workers(1, timeout=_WORKERS)
    except TimeoutError as error:
        client.close()
        hint = "Start one with `kraken-fleet worker`"
        raise FleetError("The scheduler has no worker", where=address, hint=hint) from error
    return client


def _ended(future: Future[Any], work: Slice) -> SliceEvent:
    """Return how a slice has ended.

    Raises:
        FleetError: the scheduler has lost it.
    """
    if future.status == "finished":
        return slice_event(json.loads(future.result()))
    if future.status != "error":
        raise FleetError("The scheduler has ended, or has forgotten this deploy", hint=_AGAIN)
    why = f"No worker has deployed it: {_reason(future)}"
    return SliceEnded(work.number, 1, {host: {"failed": why} for host in work.hosts}, why)


def _reason(future: Any) -> str:
    return str(future.exception())


def _deploy_on_worker(text: str, topic: str) -> str:
    """Deploy a slice; what a worker runs. What happens meanwhile is told under the topic."""
    worker = _distributed().get_worker()
    work = Slice.from_json(text)
    process = SliceProcess(work)
    over, key = threading.Event(), worker.get_current_task()
    threading.Thread(target=_stop_when_unwanted, args=(worker, key, process, over), daemon=True).start()
    result = ""
    try:
        # As text: to a dictionary Dask adds an entry of its own.
        worker.log_event(topic, json.dumps(to_dict(SliceStarted(work.number, str(worker.name)))))
        for event in process.events():
            if isinstance(event, SliceEnded):
                result = json.dumps(to_dict(event))
            else:
                worker.log_event(topic, json.dumps(to_dict(event)))
    finally:
        over.set()
    return result


def _stop_when_unwanted(worker: Any, key: str, process: SliceProcess, over: threading.Event) -> None:
    """Stop the process of a slice that nobody waits for any more: Dask lets a function run that has begun."""
    while not over.wait(_LOOK):
        task = worker.state.tasks.get(key)
        if task is None or task.state in ("cancelled", "released", "forgotten"):
            process.stop()
            return


def serve_as_worker(address: str, tls: TlsFiles, *, slices: int, name: str) -> None:
    """Be a worker until the scheduler ends.

    Args:
        slices: how many to deploy at the same time.
        name: by which the deploy's progress calls it.

    Raises:
        FleetError: a package is missing, or the scheduler does not answer.
    """
    ansible_runner()
    distributed = _distributed()
    import dask.config

    folder = state_dir() / "worker"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def serve() -> None:
        worker = distributed.Worker(
            address,
            nthreads=slices,
            name=name,
            security=_security(tls),
            local_directory=str(folder),
            # The work is done by processes of ansible-playbook, whose memory Dask does not count.
            memory_limit=0,
            dashboard=False,
            dashboard_address="127.0.0.1:0",
            # Without it a worker tries for ever to reach a scheduler that is not there.
            death_timeout=_CONNECT,
        )
        async with worker:
            await worker.finished()

    # Its pages would be for everybody on the machine, without TLS.
    with dask.config.set({"distributed.worker.http.routes": []}):
        try:
            asyncio.run(serve())
        except (OSError, TimeoutError) as error:
            hint = "Check the address and the certificates; see docs/scale.md"
            raise FleetError(f"The scheduler does not answer: {error}", where=address, hint=hint) from error


def _security(tls: TlsFiles) -> Any:
    files: Mapping[str, str] = {
        "tls_ca_file": str(tls.ca),
        **{f"tls_{role}_cert": str(tls.certificate) for role in ("client", "worker")},
        **{f"tls_{role}_key": str(tls.key) for role in ("client", "worker")},
    }
    # Else Dask would speak without TLS to an address that asks for none.
    return _distributed().Security(require_encryption=True, **files)


def _distributed() -> Any:
    """Import Dask's scheduler and workers.

    Raises:
        FleetError: they are not installed.
    """
    return needed("distributed", "A deploy on workers")
