"""From two masks to every figure that is printed.

Rooms, each of which imports only those above it:

* ``utils``: errors, atomic files, checking of tables, plug-ins;
* ``masks``: reading and writing masks; ``image`` decodes, ``read`` says which pixels are polyp,
  by protocol, ``classes`` and ``class_indices`` do so for several classes, ``maps`` reads
  probability maps;
* ``frame``: figures of one frame: ``pixel_counts``, ``boundary``, ``lesions``,
  ``official_hausdorff``, ``saliency`` and ``candidates`` of a probability map, ``disagreement``;
* ``endocv``: the organisers' overlap figures, their means, the score and its deviations, and with
  it ``averages`` (over frames or test sets), ``generalisation``, ``strata`` (frames by the size of
  their polyp), ``registry`` (plug-ins' figures) and ``paper`` (the published figures);
* ``statistics``: over frames and models: ``samples`` pairs the frames, ``clusters`` are resampled
  together, ``bootstrap`` and ``bootstrap_intervals``, ``permutation``, ``holm`` and ``comparison``
  test, ``ranking`` and ``consensus`` rank, ``seeds`` and ``error_prediction``;
* ``pranet``, ``curves``, ``calibration`` and ``risk``: figures of probability maps.

docs/protocol.md has examples ('From Python').

Nothing is imported here, so that ``metrics.utils.errors`` stays cheap to load.
"""
