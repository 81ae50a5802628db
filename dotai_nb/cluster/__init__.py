"""The cluster: connection, reading, dry runs, execution. The only place that knows `kubernetes`."""
