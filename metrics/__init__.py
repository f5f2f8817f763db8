"""From two masks to every figure that is printed.

Rooms, each of which imports only those above it:

* ``utils``: errors, atomic files, checking of tables, plug-ins;
* ``masks``: reading and writing masks; ``image`` decodes, ``read`` says which pixels are polyp,
  by protocol, ``classes`` and ``labels`` do so for several classes, ``bits`` packs masks, ``png``
  reads and writes grey PNGs fast;
* ``frame``: figures of one frame: ``counts`` (true and false positives and negatives),
  ``hausdorff``, ``boundary``, ``lesions``, and ``disagreement`` of an ensemble's members;
* ``endocv``: the organisers' overlap figures, their means, the score and its deviations, and with
  it ``registry`` (plug-ins' figures), ``generalisation`` (what is lost from one set of frames to
  another), ``strata`` (frames by the size of their polyp) and ``paper`` (the published figures);
* ``statistics``: over frames and models: ``samples`` pairs the frames, ``bootstrap`` gives
  intervals, ``permutation`` and ``comparison`` test, ``ranking`` ranks, ``error_prediction`` asks
  whether disagreement predicts errors.

Nothing is imported here, so that ``metrics.utils.errors`` stays cheap to load.
"""
