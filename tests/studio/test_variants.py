"""Versions to choose from: that they differ, and leave alone what is locked."""

import shutil
from itertools import combinations
from pathlib import Path

import pytest

from musex.planning.variations import MOST_SHARED, SAME_SHARE, share_in_common
from musex.studio import editing, variants
from musex.studio.session import Session
from tests.studio.conftest import EXAMPLES, Studio


def make(session: Session) -> None:
    session.begin(lambda: variants.make_versions(session, editing.options_of(session.plan))).result(60)


@pytest.mark.parametrize("name", ["sung.mp3", "groove.mp3"])
def test_versions_sound_differently_and_keep_what_is_locked(name: str, studio: Studio, tmp_path: Path) -> None:
    session, _ = studio.open(Path(shutil.copy(EXAMPLES / name, tmp_path / name)))
    plan = session.plan
    session.begin(lambda: editing.lock(session, 1, True)).result(60)
    make(session)
    assert len(session.versions) == variants.VERSIONS
    shares = [share_in_common(one, other) for one, other in combinations((plan, *session.versions), 2)]
    assert max(shares) < SAME_SHARE
    assert sum(share > MOST_SHARED for share in shares) <= 2
    jump = plan.seams[0].leave, plan.seams[0].enter
    for version in session.versions:
        assert version.frames == plan.frames
        assert jump in [(seam.leave, seam.enter) for seam in version.seams]
        assert version.settings.forbid == plan.settings.forbid
    session.begin(lambda: variants.choose_version(session, 2)).result(60)
    assert session.plan == session.versions[2]
    assert [(session.plan.seams[number - 1].leave) for number in session.step.locked_numbers] == [jump[0]]
