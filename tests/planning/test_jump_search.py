"""Partners in long songs: a coarse search finds nearly all of those that comparing every step with every other does."""

import numpy as np

from musex.planning.jumps import ODD_REACH, Jumps, find_jumps
from musex.planning.material import Limits, Material

STEPS = 6000
LIMITS = Limits(first_leave=40, first_enter=40, last=STEPS - 40, distance=40, gap=40, partners=12)


def long_song() -> np.ndarray:
    """Rows of twelve phrases of 25 s, played again and again in any order, never twice quite the same."""
    rng = np.random.default_rng(0)
    phrases = np.cumsum(rng.normal(0.0, 0.1, (12, 250, 16)), axis=1)
    phrases += rng.normal(0.0, 0.3, phrases.shape)
    rows = np.concatenate(phrases[rng.integers(0, 12, STEPS // 250)])
    return np.asarray(rows + rng.normal(0.0, 0.05, rows.shape), np.float32)


def recall(found: Jumps, exact: Jumps) -> float:
    """Share of the exact search's best partners that another search has as well."""
    lead, best, _ = exact.kinds
    these = slice(lead, lead + best)
    hit = (exact.targets[:, these, None] == found.targets[:, None, these]).any(axis=2)
    return float(hit[np.isfinite(exact.unlikeness[:, these])].mean())


def test_a_coarse_search_finds_what_an_exact_one_does() -> None:
    rows = long_song()
    exact = find_jumps(rows, LIMITS)
    assert recall(find_jumps(rows, LIMITS, most=2048), exact) >= 0.98
    assert recall(find_jumps(rows, LIMITS, most=256), exact) < 0.98
    assert recall(find_jumps(rows, LIMITS, most=STEPS - 1), exact) >= 0.999


def test_jumps_of_a_long_song_keep_to_its_limits_and_lead_over_silence() -> None:
    material = Material(0, STEPS, (0, STEPS), ((2000, 2200), (4000, 4100)))
    found = find_jumps(long_song(), LIMITS, material, most=1024)
    leaves, partners = np.nonzero(np.isfinite(found.unlikeness))
    targets = found.targets[leaves, partners]
    assert np.abs(leaves - targets).min() >= LIMITS.distance
    assert targets.min() >= LIMITS.first_enter
    assert targets.max() <= LIMITS.last
    assert material.allows(leaves, targets, LIMITS).all()
    over = found.kinds[0]
    assert over
    assert np.isfinite(found.unlikeness[1000:1900, :over]).all()
    assert (found.targets[1000:1900, :over] >= 2200).all()
    near = found.targets[1000:1900, -found.kinds[2] :] - np.arange(1000, 1900)[:, None]
    assert np.abs(near).max() <= LIMITS.distance + ODD_REACH
