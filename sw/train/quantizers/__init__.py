"""Quantizers of weights, activations and gradients, composed of estimators."""
