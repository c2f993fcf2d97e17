"""Host side: training, compilation, the integer network and its golden model, images, command line."""
