"""The patterns of the service's model: texts that match them at any length, texts that do not, and which is which.

They are keyed by their text in the model; Python's own expressions lack some of their classes.
"""

import itertools
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

WIDE = "\U0001F600"
ARN = "arn:aws:personalize:us-east-1:000000000000:"
# Makes what has to be unique so.
numbers = itertools.count(1)


@dataclass(frozen=True)
class Pattern:
    """What is known of one pattern."""

    accepts: Callable[[str], bool]
    # A text that matches, of the given length where it can be that short, made long with the given character.
    make: Callable[[int, str], str]
    # Characters that texts may be made long with, the last of them as many bytes as it can.
    fills: tuple
    breakers: tuple


def _matching(expression):
    return lambda text: re.fullmatch(expression, text) is not None


def _behind(prefix, shortest=None):
    shortest = shortest or prefix
    return lambda length, fill: (prefix if length >= len(prefix) else shortest[:length]).ljust(length, fill)


def _name(length, fill):
    return f"n{next(numbers):06}"[-length:].ljust(length, fill) if length else ""


def _is_tag(text):
    return all(unicodedata.category(c)[0] in "LZN" or c in "_.:/=+-@" for c in text)


PATTERNS = {
    r"^[a-zA-Z0-9][a-zA-Z0-9\-_]*": Pattern(
        _matching("[a-zA-Z0-9][a-zA-Z0-9_-]*"), _name, ("a", "_", "-"),
        ("", "-a", "_a", "a b", " a", "a ", "a.b", "a/b", "\u00e4", "a\u0661", "a\n", "\na", "a\0", WIDE)),
    r"arn:([a-z\d-]+):personalize:.*:.*:.+": Pattern(
        _matching("arn:[a-z0-9-]+:personalize:.*:.*:.+"),
        _behind(ARN + "schema/x", "arn:a:personalize:::x"), ("x", ":", WIDE),
        ("", "nonsense", "arn:aws:s3:::bucket", ARN, f" {ARN}schema/x", f"{ARN}schema/x\n", f"urn{ARN}schema/x",
         "arn:AWS:personalize:::schema/x", "arn::personalize:::schema/x", "arn:aws:personalize:us-east-1:schema",
         "arn:aws:personalize::\n:schema/x", "arn:a\u0661:personalize:::schema/x")),
    r"arn:([a-z\d-]+):iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+": Pattern(
        _matching(r"arn:[a-z0-9-]+:iam::[0-9]{12}:role/?[a-zA-Z_0-9+=,.@/-]+"),
        _behind("arn:aws:iam::000000000000:role/nobody", "arn:a:iam::000000000000:rolex"), ("x", "/", "="),
        ("", "nobody", "arn:aws:iam::00000000000:role/r", "arn:aws:iam::0000000000000:role/r",
         "arn:aws:iam::000000000000:user/u", "arn:aws:iam::000000000000:role", "arn:aws:iam:x:000000000000:role/r",
         "arn:aws:iam::000000000000:role/r r", "arn:aws:iam::000000000000:role/\u00e4",
         "arn:aws:iam::" + "\u0661" * 12 + ":role/r", "arn:aws:iam::000000000000:role/r\n")),
    r"arn:aws.*:kms:.*:[0-9]{12}:key/.*": Pattern(
        _matching("arn:aws.*:kms:.*:[0-9]{12}:key/.*"),
        _behind("arn:aws:kms:us-east-1:000000000000:key/", "arn:aws:kms::000000000000:key/"), ("x", WIDE),
        ("", "key", "arn:aws:kms:us-east-1:00000000000:key/k", "arn:aws:kms:us-east-1:000000000000:alias/k",
         "arn:aws:s3:us-east-1:000000000000:key/k", " arn:aws:kms:us-east-1:000000000000:key/k",
         "arn:aws:kms:us-east-1:000000000000:key/\n", "arn:aws:kms:us-east-1:" + "\u0661" * 12 + ":key/k")),
    r"(s3|http|https)://.+": Pattern(
        _matching("(s3|http|https)://.+"), _behind("s3://nobody/", "s3://b"), ("x", "/", WIDE),
        ("", "bucket", "s3://", "S3://b", "s3:/b", "ftp://b", "httpss://b", " s3://b", "s3://b\n", "s3://a\nb")),
    r"^[A-Za-z_]+$": Pattern(
        _matching("[A-Za-z_]+"), _behind("Items", "x"), ("x", "_", "Z"),
        ("", "Items!", "Items2", "\u00cdtems", "Items\n", " Items", "Items Users")),
    r"\p{ASCII}{0,1500}": Pattern(
        lambda text: text.isascii() and len(text) <= 1500, _behind(""), ("x", "\0", "\n", "\x7f"),
        ("\u0080", "\u00e4", "x\u00e4", WIDE)),
    r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$": Pattern(
        _is_tag, lambda length, fill: f"{next(numbers)}"[-length:].ljust(length, fill) if length else "",
        ("k", " ", "\u00e4", "\u0661", "\U00010330"),
        ("a;b", "a\tb", "a\n", "\n", "a\0", "a*", "e\u0301", WIDE)),
    r"^[\x20-\x7E]*[\x21-\x7E]+[\x20-\x7E]*$": Pattern(
        _matching("[\x20-\x7e]*[\x21-\x7e]+[\x20-\x7e]*"), _behind("x"), ("x", " ", "~"),
        ("", " ", "   ", "\u00e4", "a\t", "a\n", "\na", "a\x7f", "a\0b", WIDE)),
}
