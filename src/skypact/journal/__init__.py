"""The journal: what was decided and what befell, in a log that proves itself."""
