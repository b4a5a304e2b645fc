"""Containers that are there: found, looked at, changed, entered, ended, swept.  ✗ starts none."""
