"""Who trains together: the machines that the variable TF_CONFIG names, as TensorFlow reads it."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from musex.errors import MusexError
from musex.system.json_files import parse_json

VARIABLE = "TF_CONFIG"
EXAMPLE = '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'


class WorkerLostError(MusexError):
    """Another worker of a training is gone: what came after the last checkpoint is lost, and all begin from there."""


@dataclass(frozen=True)
class Workers:
    """The workers of a training, and which of them this is; the first is the chief, who writes everything."""

    addresses: tuple[str, ...]
    index: int

    @property
    def address(self) -> str:
        """Where this worker listens to the others."""
        return self.addresses[self.index]

    @property
    def others(self) -> str:
        """The addresses of all the others, in words."""
        return ", ".join(address for number, address in enumerate(self.addresses) if number != self.index)


def read_workers(environment: Mapping[str, str] = os.environ) -> Workers:
    """The workers that TF_CONFIG names; raises MusexError where it names none that could train together."""
    text = environment.get(VARIABLE, "")
    if not text.strip():
        raise _fault("it is not set")
    try:
        content = parse_json(text)
    except ValueError as error:
        raise _fault(f"it is no JSON ({error})") from error
    try:
        cluster, task = content["cluster"], content["task"]
        kind, index = task["type"], task["index"]
        addresses = [*cluster.get("chief", []), *cluster["worker"]]
    except (TypeError, KeyError, AttributeError) as error:
        raise _fault(f"it lacks {error}" if isinstance(error, KeyError) else "it is put together otherwise") from error
    if unknown := set(cluster) - {"chief", "worker"}:
        raise _fault(f"a cluster has a chief and workers, no {min(unknown)}")
    if kind not in [*cluster]:
        raise _fault(f"this task is a {str(kind)[:40]!r}, of which the cluster has none")
    for address in addresses:
        if not isinstance(address, str) or not re.fullmatch(r"[^\s:/]+:\d{1,5}|\[[0-9a-fA-F:.]+\]:\d{1,5}", address):
            raise _fault(f"{str(address)[:60]!r} is no address such as 10.0.0.1:2222")
    if len(set(addresses)) < len(addresses):
        raise _fault("two workers have one address")
    if len(addresses) < 2:
        raise _fault("a single worker has nobody to train with: leave --strategy out")
    if type(index) is not int or not 0 <= index < len(cluster[kind]):
        raise _fault(f"there is no {kind} {str(index)[:40]}: they are numbered from 0 to {len(cluster[kind]) - 1}")
    return Workers(tuple(addresses), index + (len(cluster.get("chief", [])) if kind == "worker" else 0))


def _fault(reason: str) -> MusexError:
    return MusexError(f"{VARIABLE} cannot be used: {reason}; each machine needs one such as '{EXAMPLE}'")
