"""The commands: each parses, imports what it needs, calls one function and prints."""
