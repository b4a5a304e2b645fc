"""What a start takes from the host and from whoever asked for it: files, ids, hooks, policies.  ✗ starts nothing."""
