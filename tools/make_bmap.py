#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the block map (.bmap, version 2.0) of an image, for bmaptool: which blocks to write, with their checksums.

Left out are runs of zeros of at least HOLE_BYTES: free space. A shorter run can mean something, such as a free part of a
file allocation table, and a card that held something else before has no zeros there.
"""

import argparse
import hashlib
import pathlib
import sys

BLOCK_BYTES = 4096
# More than both tables of a file system of 128 MiB with clusters of 512 bytes.
HOLE_BYTES = 2 << 20
TEMPLATE = """<?xml version="1.0" ?>
<bmap version="2.0">
    <ImageSize> {size} </ImageSize>
    <BlockSize> {block} </BlockSize>
    <BlocksCount> {blocks} </BlocksCount>
    <MappedBlocksCount> {mapped} </MappedBlocksCount>
    <ChecksumType> sha256 </ChecksumType>
    <BmapFileChecksum> {checksum} </BmapFileChecksum>
    <BlockMap>
{ranges}
    </BlockMap>
</bmap>
"""


def mapped_ranges(data):
    """[(first, last)] of the blocks to write, ascending."""
    zero = bytes(BLOCK_BYTES)
    count = (len(data) + BLOCK_BYTES - 1) // BLOCK_BYTES
    used = [number for number in range(count)
            if data[number * BLOCK_BYTES:(number + 1) * BLOCK_BYTES] not in (zero, zero[:len(data) % BLOCK_BYTES])]
    ranges = []
    for number in used:
        if ranges and (number - ranges[-1][1] - 1) * BLOCK_BYTES < HOLE_BYTES:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


def bmap(data):
    ranges = mapped_ranges(data)
    lines = []
    for first, last in ranges:
        digest = hashlib.sha256(data[first * BLOCK_BYTES:(last + 1) * BLOCK_BYTES]).hexdigest()
        lines.append(f'        <Range chksum="{digest}"> {first}-{last} </Range>')
    values = {"size": len(data), "block": BLOCK_BYTES, "blocks": (len(data) + BLOCK_BYTES - 1) // BLOCK_BYTES,
              "mapped": sum(last - first + 1 for first, last in ranges), "ranges": "\n".join(lines)}
    # The file's own checksum is that of the file with zeros in its place.
    digest = hashlib.sha256(TEMPLATE.format(checksum="0" * 64, **values).encode()).hexdigest()
    return TEMPLATE.format(checksum=digest, **values)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    options = parser.parse_args(arguments)
    options.output.write_text(bmap(options.image.read_bytes()), encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
