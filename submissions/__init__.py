"""Rounds, packages, their checks, and the organisers' scoring.

Modules, in the order in which a submission meets them:

* ``rounds``: what a round asks for, and the frames of its test sets;
* ``layout``: the names inside a package;
* ``encoding``: a mask as a file that the organisers read back without loss;
* ``package``: a round's zip, written whole or not at all;
* ``headers``, ``archive``, ``validate``: reading a package that may be broken or hostile;
* ``scoring``: the organisers' evaluation of a package;
* ``ledger``: what was submitted and scored, and the daily limit;
* ``leaderboard``: who leads.

Nothing is imported here, so that each command loads only what it needs.
"""
