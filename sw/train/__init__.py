"""Training of binarized networks. Only `loop`, `models` and the modules that they build on import torch."""
