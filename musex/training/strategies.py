"""How a batch is shared, by `tf.distribute`: among the GPUs of one machine, or among machines; and in which precision.

Weights are plain variables, the same everywhere: each replica differentiates its part of the batch under
`Strategy.run`, gradients are averaged over all, and only then clipped and applied, as if one had seen the whole batch.
(Keras's own `fit` does not run under MultiWorkerMirroredStrategy, and clips each replica's gradients by themselves.)
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from musex.config import Precision, Strategy
from musex.errors import MusexError
from musex.training.networks import keras, tf
from musex.training.workers import WorkerLostError, Workers, read_workers

BFLOAT16_CAPABILITY = (8, 0)  # of GPUs whose tensor cores take bfloat16: from Ampere on
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}  # of CPUs
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)  # what the others' operations end with when a worker is gone


class Sharing:
    """Who computes which part of each batch; by itself one process computes all of it.

    It is made before anything else is computed, as TensorFlow wants it.

    Raises:
        MusexError: There is nothing to share a batch among.
    """

    def __init__(self, strategy: Strategy | None = None) -> None:
        self.team: Workers | None = None
        self.strategy: Any = tf.distribute.get_strategy()
        if strategy == "multiworker":
            self.team = read_workers()
            try:
                self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
            except LOST as error:  # after half a minute alone
                raise WorkerLostError(f"{self.team.others} did not come: start every worker") from error
            except (tf.errors.OpError, RuntimeError, ValueError) as error:
                reason = " ".join(str(error).split())[:200]
                raise MusexError(f"cannot train together as {self.team.address}: {reason}") from error
        elif strategy == "mirrored":
            self.strategy = tf.distribute.MirroredStrategy(_devices())
        self.replicas: int = self.strategy.num_replicas_in_sync
        self.here = self.replicas // self.workers  # replicas of this worker
        self._reduce = tf.function(self._all_reduce, input_signature=[tf.TensorSpec([None], tf.float64)])

    @property
    def workers(self) -> int:
        return len(self.team.addresses) if self.team else 1

    @property
    def index(self) -> int:
        """Of this worker."""
        return self.team.index if self.team else 0

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes what the training leaves."""
        return self.index == 0

    def numbers(self, batch_size: int, first: int = 0) -> Iterator[int]:
        """The windows that this worker draws, of all from `first` on: its part of each batch, without end.

        Raises:
            MusexError: A batch cannot be shared evenly.
        """
        if batch_size % self.replicas:
            raise MusexError(f"a batch of {batch_size} cannot be shared evenly among {self.replicas}: take a divisor")
        share = batch_size // self.workers
        return self._numbers(batch_size, first + self.index * share, share)

    @staticmethod
    def _numbers(batch_size: int, start: int, share: int) -> Iterator[int]:
        while True:
            yield from range(start, start + share)
            start += batch_size

    def distribute(self, data: Any) -> Any:
        """An iterator over batches for this worker's replicas, of a pipeline of theirs one after another."""
        return iter(self.strategy.distribute_datasets_from_function(lambda _: data))

    def make_step(self, task: Any) -> Callable[..., Any]:
        """A function that learns from a batch: its loss, the mean over all replicas."""
        variables = [variable.value for variable in task.trainable_variables]

        def differentiate(inputs: Any, target: Any) -> list[Any]:
            with tf.GradientTape() as tape:
                loss = task.compute_loss(inputs, target, task(inputs, training=True))
            parts = [loss, *tape.gradient(loss, variables)]
            if self.replicas == 1:
                return parts
            return list(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, parts))

        @tf.function(jit_compile=task.jit_compile and self.replicas == 1)  # type: ignore[untyped-decorator]
        def step(inputs: Any, target: Any) -> Any:
            parts = self.strategy.run(differentiate, args=(inputs, target))
            loss, *gradients = [self.strategy.experimental_local_results(part)[0] for part in parts]
            task.optimizer.apply(gradients, task.trainable_variables)
            return loss

        learn: Callable[..., Any] = step
        return learn

    def total(self, values: Any) -> Any:
        """Sums of numbers over all workers, who ask for them together."""
        values = np.asarray(values, np.float64)
        if self.workers == 1:
            return values
        sums = self._reduce(tf.constant(values.ravel() / self.here))
        return np.asarray(sums).reshape(values.shape)

    def agree(self, values: Any) -> Any:
        """What the chief says."""
        return self.total(values if self.is_chief else np.zeros_like(np.asarray(values, np.float64)))

    def _all_reduce(self, values: Any) -> Any:
        def add() -> Any:
            own = tf.identity(values)  # on this replica's device
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, own)

        return self.strategy.experimental_local_results(self.strategy.run(add))[0]

    def align(self, variables: Sequence[Any]) -> None:
        """Give every worker the chief's values."""
        if self.workers == 1:
            return
        values = [np.asarray(variable) for variable in variables]
        flat = self.agree(np.concatenate([value.ravel().astype(np.float64) for value in values]))
        parts = np.split(flat, np.cumsum([value.size for value in values])[:-1])
        for variable, value, part in zip(variables, values, parts, strict=True):
            variable.assign(part.reshape(value.shape).astype(value.dtype))

    def check_alike(self, digest: str) -> None:
        """Refuse workers who would not learn the same; raises MusexError at every worker."""
        if self.workers == 1:
            return
        number = int(digest[:12], 16)
        differs = self.agree([number])[0] != number
        others = self.total(np.eye(self.workers)[self.index] * differs)
        if others.any():
            told = ", ".join(self.team.addresses[place] for place in np.nonzero(others)[0]) if self.team else ""
            raise MusexError(f"{told} have other music or options than the chief: give all workers the same")

    @contextmanager
    def noticing_losses(self) -> Iterator[None]:
        """Within, a worker that is gone is WorkerLostError."""
        try:
            yield
        except LOST as error:
            if self.team is None:
                raise
            raise WorkerLostError(
                f"one of {self.team.others} is gone: start every worker again with `resume=True`, from the last "
                "checkpoint"
            ) from error

    @contextmanager
    def varied(self, task: Any, variables: Sequence[Any]) -> Iterator[None]:
        """Give every worker the chief's values; within, each drops other units: its generators have other seeds."""
        self.align(variables)
        seeds = [variable for variable in task.variables if "seed_generator_state" in variable.path]
        for variable in seeds if self.index else ():
            state = np.asarray(variable)
            variable.assign(state + np.array([self.index, 0], state.dtype))
        yield


def _devices() -> list[str]:
    """Two devices or more of one kind; raises MusexError where there are none."""
    for kind in ("GPU", "CPU"):
        devices = [device.name for device in tf.config.list_logical_devices(kind)]
        if len(devices) > 1:
            return devices
    found = tf.config.list_physical_devices("GPU")
    raise MusexError(
        f"mirrored shares batches among the GPUs of one machine, and TensorFlow finds {len(found) or 'none'}: leave "
        "--strategy out, or take multiworker for several machines"
    )


def choose_precision(wanted: Precision) -> Precision:
    """ "mixed" where it is wanted, or where the hardware multiplies bfloat16 and nothing else is wanted."""
    if wanted != "auto":
        return wanted
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        about = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        able = all(details.get("compute_capability", (0, 0)) >= BFLOAT16_CAPABILITY for details in about)
    else:
        able = bool(BFLOAT16_FLAGS & _cpu_flags())
    return "mixed" if able else "float32"


def _cpu_flags() -> set[str]:
    """What the CPU can, where the system tells."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return set()
    return set(text.partition("\nflags")[2].partition("\n")[0].split())


def name_policy(precision: Precision) -> str:
    """The Keras dtype policy of layers that may compute in less: their weights stay float32."""
    return "mixed_bfloat16" if precision == "mixed" else keras.config.dtype_policy().name
