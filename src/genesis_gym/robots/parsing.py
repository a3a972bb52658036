"""Bounded reading of XML and its numbers; robots' files may come from anywhere."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from genesis_gym.robots.description import quoted

#: Largest file that is read, bytes; the largest that Genesis ships has 0.1 MB.
LARGEST = 64 * 1024 * 1024
#: First bytes of what is no mesh or picture but stands in the place of one.
_LFS_POINTER = b"version https://git-lfs"
_WEB_PAGE = (b"<!doctype html", b"<html")


def read_xml(path: Path) -> Element:
    """Read a file.

    Args:
        path: The file.

    Returns:
        Its root.

    Raises:
        OSError: It cannot be read.
        ValueError: It is too large, or declares entities, which could make it larger still.
        ElementTree.ParseError: It is no XML.
    """
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"{path.name} has more than {LARGEST // 1024**2} MiB")
    if b"<!ENTITY" in data:
        raise ValueError(f"{path.name} declares XML entities")
    return ElementTree.fromstring(data)


def numbers(element: Element, attribute: str, count: int) -> list[float]:
    """Numbers of an attribute that is there.

    Args:
        element: The element.
        attribute: The attribute's name.
        count: How many there must be.

    Returns:
        The numbers.

    Raises:
        KeyError: There is no such attribute.
        ValueError: There are not as many, or one is none or not a number (nan). Infinite ones pass.
    """
    text = element.attrib[attribute]
    try:
        values = [float(word) for word in text.split()]
    except ValueError:
        values = []
    if len(values) != count or any(map(math.isnan, values)):
        wanted = "a number" if count == 1 else f"{count} numbers"
        raise ValueError(f"{attribute}={quoted(text)} of <{element.tag}> is not allowed; it must be {wanted}")
    return values


def number(element: Element | None, attribute: str) -> float | None:
    """Number of an attribute that may be missing, as `numbers` reads it."""
    return None if element is None or attribute not in element.attrib else numbers(element, attribute, 1)[0]


def check_asset(path: Path, filename: str) -> None:
    """Refuse a mesh or a picture that is none.

    Args:
        path: Where it should be.
        filename: How the robot's file names it.

    Raises:
        ValueError: It is missing or empty, or a Git LFS pointer or a web page instead.
    """
    if not path.is_file():
        raise ValueError(f"file {quoted(filename)} is missing: there is no {path}")
    with path.open("rb") as file:
        start = file.read(64).lstrip().lower()
    if not start:
        raise ValueError(f"file {quoted(filename)} is empty: {path}")
    if start.startswith(_LFS_POINTER):
        raise ValueError(f"file {quoted(filename)} is a Git LFS pointer; run `git lfs pull` where it comes from")
    if start.startswith(_WEB_PAGE):
        raise ValueError(f"file {quoted(filename)} is a web page and no mesh or picture: {path}")
