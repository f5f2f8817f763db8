"""Frames: finding them, reading them, dividing them, drawing them.

* ``layouts``: the frames of each dataset's folders as a catalogue, one row a frame;
* ``splits``: which frames train, validate and test;
* ``catalogue``: both together, as the settings say;
* ``check``: what is in a dataset folder, and what is wrong with it.

Nothing is imported here, so that a command pays only for what it uses.
"""
