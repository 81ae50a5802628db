"""Pure functions from a session to something to show.

Everything a cluster or a model says is untrusted here: escaped for the place it stands in, and
what would be invisible is made visible (see `escape`).
"""
