"""Datasets: finding, splitting, reading, caching, checking, augmenting and drawing frames.

* ``listing``, ``layouts``: the frames of each dataset's folders as a catalogue, one row a frame;
* ``splits``, ``cross_validation``: which frames train, validate and test;
* ``catalogue``: both together, as the settings say;
* ``frames``, ``fingerprint``, ``cache``, ``loader``: from files to batches;
* ``augment``: what changes training frames at random;
* ``check``: what is in a dataset folder, and what is wrong with it;
* ``synthetic``: drawn frames for demonstrations and tests.

Nothing is imported here, so that a command pays only for what it uses.
"""
