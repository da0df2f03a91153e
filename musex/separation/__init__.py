"""What a song is made of: its stems."""
