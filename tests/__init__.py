"""The tests, by what they need: unit, cluster, wire, browser."""
