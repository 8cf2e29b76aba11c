"""Quantise the large matrix products of an exported network to int8."""

import logging
from pathlib import Path


def quantise(path: Path) -> None:
    """Replace the network at `path`: matrix products with fixed weights use int8, with a scale per output channel.

    The range of the other factor is computed for each text. Weights use all 8 bits: processors with VNNI (Intel's
    servers since 2019) sum the products of two bytes in 32 bits.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it recommends a preparation that torch's exporter has done
    try:
        quantize_dynamic(
            path, path, op_types_to_quantize=["MatMul", "Gemm"], per_channel=True, weight_type=QuantType.QInt8
        )
    finally:
        root.setLevel(level)
