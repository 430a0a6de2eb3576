"""What an operator looks at: the figures, reckoned here from metrics as Grafana does elsewhere."""
