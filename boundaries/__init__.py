"""What planners do: read, check, repair boundaries."""
