"""Whether what a photograph shows can be: light and perspective, from points that a person has marked in an image.

Functions of annotations, not of pixels, and no detector: who marks a sphere's shading, the edges of a building or
shadows gets figures that say how well one light, or one camera, explains all of them.
"""
