"""What runs on a challenge platform: score a submission there, by the lines of ``harness score``.

``harness export-evaluation`` copies the packages ``metrics`` and ``submissions`` into a bundle, and
a short script that calls ``main`` of one of these modules:

* ``codabench``, ``grand_challenge``, ``evalai``: where a platform puts things and wants the result;
* ``evaluation``: what they share;
* ``unpacked``, ``jobs``, ``mha``: submissions that the platform has unpacked or made itself;
* ``page``: the HTML page of one submission.
"""
