"""A run on a copy of its workspace: the copy, the merge of three trees, carrying changes back.  ✗ the container itself."""
