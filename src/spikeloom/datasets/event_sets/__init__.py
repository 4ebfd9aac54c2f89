"""Published data sets of event cameras, one a file."""
