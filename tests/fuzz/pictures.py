# Licensed under the Apache License, Version 2.0.
"""Image files of all kinds, whole and lying about themselves."""

import functools
import io
import struct
import zlib

import numpy as np
from PIL import Image, features

HEIGHT, WIDTH = 64, 96
# Formats in which a mask may be kept.
LOSSLESS = ('PNG', 'BMP', 'TIFF', 'GIF', 'PPM')


def _pixels(channels, dtype=np.uint8):
    rng = np.random.default_rng(channels)
    top = 65535 if dtype == np.uint16 else 255
    pixels = rng.integers(0, top, (HEIGHT, WIDTH, channels))
    pixels[10:40, 20:60] = top // 3
    return pixels.astype(dtype).squeeze()


def _save(image, kind, **how):
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def _exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def _png_chunk(name, data):
    return (struct.pack('>I', len(data)) + name + data + struct.pack(
        '>I', zlib.crc32(name + data)))


def png_of_16_bit_colours():
    """What Pillow cannot write."""
    rows = b''.join(b'\x00' + row.astype('>u2').tobytes()
                    for row in _pixels(3, np.uint16))
    head = struct.pack('>IIBBBBB', WIDTH, HEIGHT, 16, 2, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + _png_chunk(b'IHDR', head) +
            _png_chunk(b'IDAT', zlib.compress(rows)) + _png_chunk(b'IEND', b'')
            )


@functools.lru_cache(None)
def whole_images():
    """Name and bytes of sound files, all of 64 x 96 pixels."""
    colour = Image.fromarray(_pixels(3))
    grey = Image.fromarray(_pixels(1))
    alpha = Image.fromarray(_pixels(4), 'RGBA')
    palette = colour.quantize(16)
    files = {
        'jpeg': _save(colour, 'JPEG'),
        'jpeg progressive': _save(colour, 'JPEG', progressive=True),
        'jpeg grey': _save(grey, 'JPEG'),
        'jpeg cmyk': _save(colour.convert('CMYK'), 'JPEG'),
        'jpeg ycbcr': _save(colour.convert('YCbCr'), 'JPEG', subsampling=0),
        'png': _save(colour, 'PNG'),
        'png grey': _save(grey, 'PNG'),
        'png alpha': _save(alpha, 'PNG'),
        'png grey alpha': _save(alpha.convert('LA'), 'PNG'),
        'png palette': _save(palette, 'PNG'),
        'png palette alpha': _save(palette, 'PNG', transparency=3),
        'png 1 bit': _save(grey.convert('1'), 'PNG'),
        'png 16 bit': _save(Image.fromarray(_pixels(1, np.uint16)), 'PNG'),
        'png 16 bit colours': png_of_16_bit_colours(),
        'bmp': _save(colour, 'BMP'),
        'gif': _save(palette, 'GIF'),
        'gif moving': _save(
            palette, 'GIF', save_all=True, append_images=[grey]),
        'ppm': _save(colour, 'PPM'),
        'tiff': _save(colour, 'TIFF'),
        'tiff cmyk': _save(colour.convert('CMYK'), 'TIFF'),
        'tiff 16 bit': _save(Image.fromarray(_pixels(1, np.uint16)), 'TIFF'),
        'tiff float': _save(grey.convert('F'), 'TIFF'),
        'tiff deflate': _save(colour, 'TIFF', compression='tiff_deflate'),
    }
    for orientation in (0, 2, 3, 5, 6, 8, 99):
        files[f'jpeg exif {orientation}'] = _save(
            colour, 'JPEG', exif=_exif(orientation))
        files[f'png exif {orientation}'] = _save(
            colour, 'PNG', exif=_exif(orientation))
    if features.check('webp'):
        files['webp'] = _save(colour, 'WEBP')
        files['webp alpha'] = _save(alpha, 'WEBP', lossless=True)
    if features.check('jpg_2000'):
        files['jpeg 2000'] = _save(colour, 'JPEG2000')
    return files


def declare_size(name, content, height, width):
    """The same file, saying that it is of another size."""
    content = bytearray(content)
    if name.startswith('png'):
        content[16:24] = struct.pack('>II', width, height)
        content[29:33] = struct.pack('>I', zlib.crc32(content[12:29]))
    elif name.startswith('jpeg') and content[:2] == b'\xff\xd8':
        for marker in (0xc0, 0xc1, 0xc2):
            place = content.find(bytes((0xff, marker)))
            if place > 0:
                content[place + 5:place + 9] = struct.pack(
                    '>HH', min(height, 65535), min(width, 65535))
                break
    elif name.startswith('bmp'):
        content[18:26] = struct.pack('<ii', *(min(x, 2**31 - 1)
                                              for x in (width, height)))
    elif name.startswith('gif'):
        size = struct.pack('<HH', min(width, 65535), min(height, 65535))
        content[6:10] = size
    elif name.startswith('ppm'):
        content[:] = content.replace(b'%d %d' % (WIDTH, HEIGHT),
                                     b'%d %d' % (width, height), 1)
    elif name.startswith('tiff'):
        # Tags 256 and 257 of the only directory, little endian.
        start = struct.unpack('<I', content[4:8])[0]
        for i in range(struct.unpack('<H', content[start:start + 2])[0]):
            entry = start + 2 + 12 * i
            tag = struct.unpack('<H', content[entry:entry + 2])[0]
            if tag in (256, 257):
                value = (width, height)[tag - 256]
                content[entry + 2:entry + 12] = struct.pack(
                    '<HII', 4, 1, min(value, 2**32 - 1))
    return bytes(content)


def bomb():
    """A PNG of a few kilobytes with 144 million pixels, all of them there."""
    side = 12000
    row = b'\x00' * (side // 8 + 1)
    packer = zlib.compressobj(9)
    data = b''.join(packer.compress(row * 100) for _ in range(side // 100))
    head = struct.pack('>IIBBBBB', side, side, 1, 0, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + _png_chunk(b'IHDR', head) +
            _png_chunk(b'IDAT', data + packer.flush()) +
            _png_chunk(b'IEND', b''))


def text_bomb():
    """A PNG whose comment unpacks to 200 MB."""
    packed = zlib.compress(b'\x00' * 200_000_000, 9)
    whole = whole_images()['png']
    return whole[:33] + _png_chunk(b'zTXt', b'x\x00\x00' + packed) + whole[33:]
