"""Warm starts: a parent per runtime imports Airflow once, and each component is forked from it (ADR 21).

`ask` is the launcher's side, `adoption` supervisord's; `parent`, `preload`, `recording`, `child` and `handover` run in
the runtime's own interpreter. Only the standard library is imported here. The driver's side is `steps/warm_parents.py`.
"""
