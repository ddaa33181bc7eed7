"""Figures and report.html of results folders: what tools/ntklens-plot runs."""
