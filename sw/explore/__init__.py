"""Exploration: training recipes x plans x devices x routing seeds, every result kept."""
