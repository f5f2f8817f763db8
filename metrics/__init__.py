"""From two masks to every figure that is printed.

Modules, in the order in which the figures arise:

* ``masks``: reading a mask and saying which pixels are polyp, by protocol;
* ``counts``: true and false positives and negatives of one frame;
* ``endocv``: the overlap figures, their means, the score and its standard deviations;
* ``hausdorff``, ``boundary``, ``lesions``: figures that need the masks themselves;
* ``generalisation``: what is lost from one set of frames to another;
* ``divergence``, ``foretelling``: how far members disagree, and whether that foretells an error;
* ``statistics``, ``comparison``, ``ranking``: intervals, tests and ranks over frames;
* ``paper``: the published figures, for reference.

Nothing is imported here, so that ``metrics.utils.errors`` stays cheap to load.
"""
