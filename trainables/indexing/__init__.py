"""From image files on disk, however they lie, to a table of what is known of each: the index of a data folder."""
