"""The engine evaluates a pure function at every point of a labelled space, in as few compiled programs as possible."""
