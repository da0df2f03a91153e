"""How `beatnet.npz` was made: the weights of BeatNet's networks, from its wheel, as plain arrays of float16.

    pip download --no-deps beatnet==1.1.3
    python models/convert_beatnet.py BeatNet-1.1.3-py3-none-any.whl models/beatnet.npz

BeatNet: Mojtaba Heydari, Frank Cwitkowitz, Zhiyao Duan; CC BY 4.0. Nothing of the wheel is run: its files of weights
are archives of raw numbers and a table of contents, which is read with nothing but these tensors' types allowed.
"""

import argparse
import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray

NETWORKS = (1, 2, 3)  # trained without GTZAN, without Ballroom, without the Rock Corpus


class TableOfContents(pickle.Unpickler):
    """The names and shapes of stored tensors: refuses whatever is not a tensor of float32."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{folder}/data.pkl")))
        self.archive, self.folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        """What the table may name."""
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch", "FloatStorage"): np.float32,
            ("torch._utils", "_rebuild_tensor_v2"): self.tensor,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} has no place among weights")
        return known[module, name]

    def persistent_load(self, pid: Any) -> Array:
        """The numbers of one tensor."""
        _, kind, key, _, count = pid
        return np.frombuffer(self.archive.read(f"{self.folder}/data/{key}"), kind, count)

    @staticmethod
    def tensor(storage: Array, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> Array:
        """A tensor of its numbers."""
        steps = [stride * storage.itemsize for stride in strides]
        return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps).copy()


def read_weights(wheel: Path, network: int) -> dict[str, Array]:
    """The weights of one of the three networks, by name."""
    with zipfile.ZipFile(wheel) as package:
        content = io.BytesIO(package.read(f"BeatNet/models/model_{network}_weights.pt"))
    with zipfile.ZipFile(content) as archive:
        folder = archive.namelist()[0].split("/")[0]
        weights: dict[str, Array] = TableOfContents(archive, folder).load()
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description="Convert BeatNet's weights to plain arrays.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    networks = [read_weights(arguments.wheel, network) for network in NETWORKS]
    arrays = {name: np.stack([weights[name] for weights in networks]).astype(np.float16) for name in networks[0]}
    np.savez_compressed(arguments.output, **arrays)  # type: ignore[arg-type]
    print(f"{len(arrays)} arrays, {sum(values.size for values in arrays.values()):,} weights")


if __name__ == "__main__":
    main()
