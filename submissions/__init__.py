"""Rounds, packages, their checks, and the organisers' scoring.

* ``rounds``: the rounds of a challenge and the frames of their test sets;
* ``layout``: the names inside a package;
* ``writing``: encode masks, write and publish a package;
* ``reading``: validate a package, which may be broken or hostile;
* ``truth``, ``scoring``: score a package against the true masks;
* ``database``, ``ledger``: the register of runs, submissions and scores; the daily limit;
* ``leaderboard``: rank the scores.

Nothing is imported here, so that each command loads only what it needs.
"""
