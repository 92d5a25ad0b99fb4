"""Room 3: the model server (ONNX Runtime), its protocols, its prediction log."""
