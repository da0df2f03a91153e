"""What a song is made of: its stems."""
"""The stems of a song: voice, drums, bass and the rest."""
