"""Optimizers of latent, binary and real parameters, and which of them has which parameter."""
