"""Songs as files: read, written, with their tags and formats. Knows no plan."""
