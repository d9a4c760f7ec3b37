#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Computes a golden file's tensors in PyTorch: a candidate for `gomokunet verify`.

    candidate.py golden.safetensors candidate.safetensors --device cuda
    gomokunet verify golden.safetensors candidate.safetensors

It takes the inputs, parameters and buffers of the golden file, runs inference and the training
steps, and writes what each op, gradient and step gave, under the same names.  --mistake makes one
of mistakes.py on the way.  A file of cases gives single ops.
"""
import argparse
import os
import sys

import torch

import cases
import safetensors_io as files
from port import DTYPES, LEVELS, Golden, Port


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("golden", nargs="?", help=".safetensors or .npz")
    parser.add_argument("out", nargs="?", help=".safetensors")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or mps")
    parser.add_argument("--dtype", default="float32", choices=sorted(DTYPES),
                        help="bfloat16 and float16: by autocast")
    parser.add_argument("--tf32", action="store_true", help="let CUDA use TF32")
    parser.add_argument("--checkpoint", action="store_true", help="torch.utils.checkpoint, blocks")
    parser.add_argument("--level", default="trace", choices=LEVELS, help="how much is written")
    parser.add_argument("--mistake", metavar="NAME", help="make a mistake")
    parser.add_argument("--list", action="store_true", help="the names of all mistakes")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(argv)
    if not given.list and given.out is None:
        parser.error("two files are needed, GOLDEN and OUT")
    return given


def port_of(given):
    """The class of the port, and what it needs set."""
    torch.set_num_threads(given.threads)
    torch.backends.cuda.matmul.allow_tf32 = given.tf32
    torch.backends.cudnn.allow_tf32 = given.tf32
    if given.mistake is None:
        return Port
    from mistakes import MISTAKES
    if given.mistake not in MISTAKES:
        raise ValueError("--mistake %s: there is none of this name; --list shows them"
                         % given.mistake)
    return MISTAKES[given.mistake]


def describe(given):
    return "PyTorch %s, %s, %s%s%s" % (torch.__version__, given.device, given.dtype,
                                       ", TF32" if given.tf32 else "",
                                       ", checkpointed" if given.checkpoint else "")


def main(argv):
    given = arguments(argv)
    if given.list:
        from mistakes import MISTAKES
        print("\n".join(MISTAKES))
        return
    make, golden = port_of(given), Golden(given.golden)
    if golden.cases:
        if given.mistake or given.dtype not in ("float32", "float64"):
            raise ValueError("%s: single ops, without mistakes, in float32 and float64"
                             % given.golden)
        cases.main(given.golden, given.out, given.device,
                   "--double" if given.dtype == "float64" else "--float")
        return
    port = make(golden, given.device, given.dtype, given.checkpoint)
    tensors = port.run(given.level)
    temporary = given.out + ".tmp"
    files.save(temporary, tensors, port.metadata(given.level, describe(given)), "given")
    os.replace(temporary, given.out)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError, RuntimeError) as fault:
        sys.exit("candidate.py: %s" % fault)
