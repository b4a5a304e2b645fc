"""The command line: one file per verb.  The only place that prints or exits."""

# How errors of this call are told, and into which file besides: for verbs that go on after one (`errors.render_error`).
telling = ("text", "")
