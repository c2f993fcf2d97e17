"""The planner: arrays for a network that fit a budget or reach a speed, chosen by cost."""
