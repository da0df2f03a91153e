"""What the networks predict, from their exported files."""
