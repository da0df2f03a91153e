"""Deciding what is heard when: jumps, what they cost, and the path that is taken."""
