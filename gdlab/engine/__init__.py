"""The engine: any pure function over a labelled space, as few compiled programs as its shapes allow."""
