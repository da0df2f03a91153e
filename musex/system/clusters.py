"""Clusters of machines that share work, by Dask distributed."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from musex.errors import MusexError

LOCAL = "local"  # in place of an address: processes on this machine
ANSWER_SECONDS = 10  # in which a scheduler has to answer


@contextmanager
def connect(address: str, workers: int) -> Iterator[Any]:
    """A Dask client of the scheduler at `address`, or of `workers` processes begun here where that is "local".

    Raises:
        MusexError: Dask distributed is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MusexError("clusters need Dask distributed: pip install 'musex[cluster]'") from error
    with ExitStack() as stack:
        if address == LOCAL:
            cluster = LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs="ERROR"
            )
            scheduler: Any = stack.enter_context(cluster)
        else:
            scheduler = address
        try:
            client = Client(scheduler, timeout=ANSWER_SECONDS)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise MusexError(
                f"no Dask scheduler answers at {address}: start one by `dask scheduler`, or name {LOCAL} ({reason})"
            ) from error
        yield stack.enter_context(client)
