# SPDX-License-Identifier: MIT
"""safetensors in eighty lines: what a port needs to exchange files with GomokuNet.

A file is a little-endian u64, the length of a JSON header; the header, padded with spaces; the
bytes of all tensors, one after the other:

    {"__metadata__": {"key": "text", ...},
     "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}

Offsets count from the end of the header.  Reading is strict: every byte belongs to one tensor, no
name comes twice.  `pip install safetensors` does the same and more; Debian has no package of it.
"""
import json
import struct

import numpy as np

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1",
          "BOOL": "|b1"}
NAMES = {np.dtype(code): name for name, code in DTYPES.items()}
METADATA = "__metadata__"


def dumps(tensors, metadata=None, order="library"):
    """The bytes of a file.  `tensors`: name -> numpy array.  `order`: "library" puts wide types
    first, then goes by name, as the safetensors package does; "given" keeps the dict's order."""
    items = list(tensors.items())
    if order == "library":
        items.sort(key=lambda item: (-item[1].itemsize, item[0]))
    header, pieces, at = {}, [], 0
    if metadata is not None:
        header[METADATA] = metadata
    for name, array in items:
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(np.shape(array)),
                        "data_offsets": [at, at + len(raw)]}
        pieces.append(raw)
        at += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(pieces)


def loads(raw):
    """(tensors, metadata) of a file's bytes; ValueError where it is malformed."""
    if len(raw) < 8:
        raise ValueError("8 bytes with the header's length are missing")
    length, = struct.unpack("<Q", raw[:8])
    if length > len(raw) - 8:
        raise ValueError("a header of %d bytes in a file of %d" % (length, len(raw)))
    header = json.loads(raw[8:8 + length].decode(), object_pairs_hook=no_twins)
    metadata = header.pop(METADATA, {})
    data, tensors, at = raw[8 + length:], {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        dtype, shape = np.dtype(DTYPES[entry["dtype"]]), entry["shape"]
        first, last = entry["data_offsets"]
        count = int(np.prod(shape, dtype=np.int64))
        if first != at or last - first != count * dtype.itemsize:
            raise ValueError("%s: bytes %d to %d, expected %d to %d"
                             % (name, first, last, at, at + count * dtype.itemsize))
        tensors[name] = np.frombuffer(data[first:last], dtype).reshape(shape)
        at = last
    if at != len(data):
        raise ValueError("%d bytes of tensors, expected %d" % (len(data), at))
    return tensors, metadata


def no_twins(pairs):
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a name comes twice in the header")
    return names


def save(path, tensors, metadata=None, order="library"):
    with open(path, "wb") as file:
        file.write(dumps(tensors, metadata, order))


def load(path):
    with open(path, "rb") as file:
        try:
            return loads(file.read())
        except (ValueError, KeyError, TypeError) as fault:
            raise ValueError("%s: %s" % (path, fault)) from fault


# --- PyTorch -------------------------------------------------------------------------------------

def save_state_dict(path, state, metadata=None, order="library"):
    """model.state_dict() as a file; that GomokuNet reads it, no metadata are needed."""
    save(path, {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}, metadata,
         order)


def load_state_dict(path):
    """(state, metadata): for model.load_state_dict(state)."""
    import torch  # not needed for the rest
    tensors, metadata = load(path)
    return {name: torch.from_numpy(array.copy()) for name, array in tensors.items()}, metadata
