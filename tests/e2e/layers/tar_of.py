#!/usr/bin/env python3
"""tar_of.py PAX|GNU FOLDER: writes it to standard output as Python does."""
import sys
import tarfile

with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=getattr(tarfile, sys.argv[1] + "_FORMAT")) as tar:
    tar.add(sys.argv[2])
