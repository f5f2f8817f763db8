"""Drawn endoscopy: a tube with folds, vessels and polyps, seen through a headlight camera.

* ``textures``: periodic noise, the grain of everything;
* ``scene``: what there is: a stretch of colon, its polyps, and from where it is seen;
* ``wall``: the mucosa, its folds, the lumen and the light on it;
* ``polyps``: the polyps in front of it, and the mask that is their truth;
* ``camera``: what an endoscope of a centre makes of it.

Distances are in tube radii, image coordinates in half heights from the centre, colours linear RGB
from 0 to 1.
"""
