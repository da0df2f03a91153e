"""Cue sheets."""

import re

from musex.audio.cue_sheets import Track, compose_cue


def test_a_sheet_names_the_file_and_its_tracks() -> None:
    tracks = [Track(0.0, "First", "Somebody"), Track(61.51, 'The "second"'), Track(6000.0, "Two\nlines")]
    assert compose_cue("mix.wav", tracks) == (
        'FILE "mix.wav" WAVE\n'
        "  TRACK 01 AUDIO\n"
        '    TITLE "First"\n'
        '    PERFORMER "Somebody"\n'
        "    INDEX 01 00:00:00\n"
        "  TRACK 02 AUDIO\n"
        "    TITLE \"The 'second'\"\n"
        "    INDEX 01 01:01:38\n"
        "  TRACK 03 AUDIO\n"
        '    TITLE "Two lines"\n'
        "    INDEX 01 100:00:00\n"
    )
    assert compose_cue("mix.aiff", []) == 'FILE "mix.aiff" AIFF\n'


def test_a_sheet_counts_to_99_and_rounds_to_frames() -> None:
    tracks = [Track(59.9999 * number, str(number)) for number in range(120)]
    sheet = compose_cue("mix.flac", tracks)
    times = re.findall(r"INDEX 01 (\d+):(\d\d):(\d\d)$", sheet, re.MULTILINE)
    assert len(times) == 99
    for number, (minutes, seconds, frames) in enumerate(times):
        assert int(seconds) < 60
        assert int(frames) < 75
        assert abs(int(minutes) * 60 + int(seconds) + int(frames) / 75 - 59.9999 * number) <= 0.5 / 75
