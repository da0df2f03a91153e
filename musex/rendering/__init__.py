"""Plans to sound, in blocks of constant memory."""
