"""List its providers and make the options of a session."""

import onnxruntime


def work():
    assert "CPUExecutionProvider" in onnxruntime.get_available_providers()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
