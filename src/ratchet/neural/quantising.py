"""Large matrix products of an exported network in int8."""

import logging
from pathlib import Path


def quantise(path: Path) -> None:
    """Replace the network at `path`: matrix products with fixed weights are made of int8, weights by output channel.

    The range of what is multiplied with them is found anew for each text. Weights use all 8 bits: products of two
    bytes are summed in 32 bits by processors that have an instruction for it (VNNI, on Intel's servers since 2019).
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises a preparation that torch's exporter has done
    try:
        quantize_dynamic(
            path, path, op_types_to_quantize=["MatMul", "Gemm"], per_channel=True, weight_type=QuantType.QInt8
        )
    finally:
        root.setLevel(level)
