"""The procedural benchmark: rendered scenes, simulated cameras, and generators that leave known traces.

It makes ordinary image files, so everything after it reads them as it reads anybody's images. It says how
methods behave on traces that are known exactly; it is no evidence about cameras or generators in the world.
"""
