"""The story, end to end on one machine: what `make demo` tells and what the journey test demands."""
