"""How data sets lie on disk: each module reads one published layout as it is, nothing copied or renamed."""
