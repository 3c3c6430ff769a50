"""From the indexes of data folders to splits that do not leak, and to the pixels that detectors see."""
