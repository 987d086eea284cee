"""Values that everything else in the agent stands on: state, ports, names, outcomes, time."""
