"""The tables: leaderboard, ranks, results by class, details, the paper's tables."""
