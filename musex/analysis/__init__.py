"""What can be heard in a song."""
