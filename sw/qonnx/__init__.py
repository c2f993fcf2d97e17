"""QONNX in and out: graphs that Brevitas, FINN and qonnx write become integer networks, exactly, and the other way."""
