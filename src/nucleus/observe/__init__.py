"""What is told of containers: their logs, events, audit records, spans.  ✗ decides nothing, ✗ starts none."""
