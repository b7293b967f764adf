"""The constraints of the service's inputs, walked from its model: what to send, and what has to come back.

`cases` makes the requests on the borders of every constraint of an operation and just beyond, `mixtures` breaks several
at once, and `judge` says what the model makes of any of them. Nothing here knows the server's own tables.
"""

import itertools
import json
import math
import re
from dataclasses import dataclass

from support import service_model
from support.patterns import ARN, PATTERNS, WIDE, numbers
from support.schemas import ITEMS, avro

# Required beyond the model: without these there is nothing to read, to act as, or to change.
REQUIRED_TOO = {
    ("CreateDatasetImportJob", ("roleArn",)),
    ("CreateDatasetImportJob", ("dataSource", "dataLocation")),
    ("CreateDataDeletionJob", ("dataSource", "dataLocation")),
    ("UpdateMetricAttribution", ("metricAttributionArn",)),
    ("ListMetricAttributionMetrics", ("metricAttributionArn",)),
}
# Not empty beyond the model: such a metric would watch nothing, or be called nothing.
LENGTH_MIN_TOO = {"EventType": 1, "MetricName": 1, "MetricExpression": 1}
# How much of a refused value an answer shows.
SHOWN_CHARACTERS_MAX = 1024
# The place of any element of a list, in the path of a member.
ELEMENT = "[]"


def unknown_patterns(name):
    """The patterns of an operation's input that this suite can't judge yet."""
    patterns = {shape.metadata.get("pattern") for _, shape in nodes(name)} - {None}
    return sorted(patterns - PATTERNS.keys())


# The walk


def nodes(name):
    """Every place of an operation's input and the shape of what stands there, the whole input first."""
    shape = service_model.operation(name).input_shape
    return list(_nodes(shape, ())) if shape else []


def _nodes(shape, path):
    yield path, shape
    if shape.type_name == "structure":
        for member, inner in shape.members.items():
            yield from _nodes(inner, path + (member,))
    elif shape.type_name == "list":
        yield from _nodes(shape.member, path + (ELEMENT,))


def points(name):
    """Every constraint of an operation's input: the path of the member, and the rule."""
    found = set()
    for path, shape in nodes(name):
        if shape.type_name == "structure":
            required = [member for member in shape.members if _is_required(name, shape, path, member)]
            found |= {(path + (member,), "required") for member in required}
        found |= {(path, rule) for rule in ("min", "max", "pattern") if rule in shape.metadata}
        found |= {(path, "min")} if shape.name in LENGTH_MIN_TOO else set()
        found |= {(path, "enum")} if shape.metadata.get("enum") else set()
    return found


def is_breakable(name, point):
    """Nothing is shorter than nothing."""
    path, rule = point
    return rule != "min" or _low(dict(nodes(name))[path]) > 0


def _low(shape):
    return shape.metadata.get("min", LENGTH_MIN_TOO.get(shape.name, 0))


def _is_required(name, shape, path, member):
    return member in shape.required_members or (name, path + (member,)) in REQUIRED_TOO


# Requests that are right


def valid(name, include=()):
    """The smallest request that breaks nothing, and on the way of `include` what lies there, too."""
    shape = service_model.operation(name).input_shape
    return _valid(name, shape, (), include) if shape else {}


def _valid(name, shape, path, include):
    if shape.type_name == "structure":
        wanted = [m for m in shape.members if _is_required(name, shape, path, m) or include[:1] == (m,)]
        return {m: _valid(name, shape.members[m], path + (m,), _rest(include, m)) for m in wanted}
    if shape.type_name == "list":
        count = max(_low(shape), 2 if include else 1)
        return [_valid(name, shape.member, path + (ELEMENT,), _rest(include, ELEMENT)) for _ in range(count)]
    return _good(shape, path)


def _rest(include, step):
    return include[1:] if include[:1] == (step,) else ()


def _good(shape, path):
    if shape.name == "Arn":
        return _arn_of_nothing(path[-1])
    if shape.metadata.get("enum"):
        return shape.metadata["enum"][0]
    if shape.type_name == "string" and path[-1] == "eventType":
        return "Taken"
    if shape.type_name == "string":
        return _GOOD.get(shape.name, lambda: _made(shape, max(1, _low(shape)), "x"))()
    return {"integer": 10, "float": 1.5, "boolean": False, "timestamp": 1553631760}[shape.type_name]


_GOOD = {
    "Name": lambda: f"n-{next(numbers)}",
    "RoleArn": lambda: "arn:aws:iam::000000000000:role/nobody",
    "KmsKeyArn": lambda: "arn:aws:kms:us-east-1:000000000000:key/k",
    "S3Location": lambda: "s3://nobody/data.csv",
    "AvroSchema": lambda: avro("ITEMS", ITEMS),
    "DatasetType": lambda: "Items",
    "TagKey": lambda: f"k{next(numbers)}",
    "MetricExpression": lambda: "SAMPLECOUNT()",
}


def _arn_of_nothing(member):
    if member == "resourceArn":
        return ARN + "dataset-group/nobody"
    kind = re.sub("([A-Z])", r"-\1", member.removesuffix("Arn")).lower()
    return f"{ARN}{kind}/nobody" + ("/ITEMS" if kind == "dataset" else "")


def _made(shape, length, fill):
    """A text of this length, as right as it can be at that."""
    if shape.serialization.get("jsonvalue"):
        text = "{}" if fill == "x" else '{"k":"' + fill * (length - 8) + '"}'
        return text[:length].ljust(length)
    if shape.name == "AvroSchema" and fill == "x":
        return avro("ITEMS", ITEMS)[:length].ljust(length)
    if "pattern" in shape.metadata:
        return PATTERNS[shape.metadata["pattern"]].make(length, fill)
    return fill * length


# Requests on the borders and beyond


def cases(name):
    """Requests for every constraint and type of an operation's input: (what is special, body)."""
    for path, shape in nodes(name):
        where = ".".join(path) or "body"
        if path and path[-1] != ELEMENT:
            yield f"{where} absent", place(name, path, None, absent=True)
        if path:
            yield f"{where} null", place(name, path, None)
        for value in [*values(shape, path), *wrong_types(shape, path)]:
            yield f"{where} {_shown(value)}", place(name, path, value) if path else value
        if shape.type_name == "structure":
            known = _find(valid(name, path), path)
            strange = {**known, "colour": {"red": [1, None, {"a": "\u00e4"}]}, where.upper(): 1}
            yield f"{where} with unknown members", place(name, path, strange) if path else strange
    yield "members of other operations", {**_members_of_others(name), **valid(name)}


def place(name, path, value, absent=False):
    """A right request with `value` at `path`; in lists as the second element, so that its number has to be told."""
    body = valid(name, path)
    holder = _find(body, path[:-1])
    if absent:
        del holder[path[-1]]
    elif path[-1] == ELEMENT:
        holder[-1] = value
    else:
        holder[path[-1]] = value
    return body


def _find(body, path):
    for step in path:
        body = body[-1] if step == ELEMENT else body[step]
    return body


def _members_of_others(name):
    others = ("CreateDatasetExportJob", "CreateSchema", "ListDatasets", "PutEvents", "TagResource")
    return {member: 7 for other in others for member in service_model.operation(other).input_shape.members
            if member not in service_model.operation(name).input_shape.members}


def values(shape, path):
    """Values of the right type, on the borders of each constraint and one past them."""
    if shape.metadata.get("enum"):
        first = shape.metadata["enum"][0]
        return [*shape.metadata["enum"], first.lower(), first.title(), first + " ", " " + first, first[:-1], "", "NULL"]
    return list({"string": _texts, "integer": _integers, "list": _lists}.get(shape.type_name, _plain)(shape, path))


def _texts(shape, path):
    pattern = PATTERNS[shape.metadata["pattern"]] if "pattern" in shape.metadata else None
    low, high = _low(shape), shape.metadata.get("max")
    lengths = {low - 1, low, low + 1} | ({high - 1, high, high + 1} if high else set())
    fills = pattern.fills if pattern else ("x", WIDE)
    for length, fill in itertools.product(sorted(n for n in lengths if n >= 0), fills):
        yield _made(shape, length, fill)
    yield _good(shape, path)
    if pattern:
        yield from pattern.breakers
        yield from (pattern.make(length, "x") for length in range(5, 40))
    else:
        yield from ("\0", "\n", " ", "\u00e4\u2028\ufeff", '"\\', "null")


def _integers(shape, _):
    low, high = _low(shape), shape.metadata.get("max", 100)
    yield from (low - 1, low, low + 1, high - 1, high, high + 1, 0, -1, 2**31 - 1, 2**31, 2**63 - 1, -2**63)


def _lists(shape, path):
    low, high = _low(shape), shape.metadata.get("max", 3)
    for length in sorted({low - 1, low, low + 1, high - 1, high, high + 1} - {-1}):
        yield [_valid("", shape.member, path + (ELEMENT,), ()) for _ in range(length)]
    # What is too long is refused as it is, whatever it holds.
    yield [None] * (high + 1)


def _plain(shape, _):
    return {
        "boolean": [True, False],
        "float": [0, -1, -1.5, 1e-7, 1e300, 2**70],
        "timestamp": [0, 1.5, -1, 1e300, 2**63, 1553631760.123, "1553631760", "1.5", "-1", "1e3"],
        "structure": [],
    }[shape.type_name]


def wrong_types(shape, path):
    """Values whose JSON type the shape has no use for."""
    right = {"structure": dict, "list": list, "string": str, "integer": int, "float": (int, float), "boolean": bool,
             "timestamp": (int, float, str)}[shape.type_name]
    yield from (v for v in (5, 1.5, True, "text", [], [[]], {}, {"a": 1})
                if not isinstance(v, right) or (isinstance(v, bool) and right is not bool))
    yield from {
        "integer": ["10", 10.0, 10.5, 2**63, 2**64, 1e30, -1e30],
        "float": ["1.5", "NaN", "Infinity", "", "true"],
        "boolean": ["true", 0, 1],
        "timestamp": ["soon", "", "NaN", "Infinity", "-inf", "0x10", " 1", "1 ", "2026-01-01T00:00:00Z"],
        # Its members one after the other, as some formats would write it.
        "structure": [[_valid("", inner, path + (m,), ()) for m, inner in getattr(shape, "members", {}).items()]],
    }.get(shape.type_name, [])


def mixtures(name, chance, count):
    """Requests of which every member is drawn on its own, so that many break several constraints at once."""
    shape = service_model.operation(name).input_shape
    return [_mixed(shape, (), chance) for _ in range(count)]


def _mixed(shape, path, chance):
    drawn = chance.random()
    if drawn < 0.01:
        return chance.choice(list(wrong_types(shape, path)))
    if shape.type_name == "structure":
        drawn = {m: _mixed(inner, path + (m,), chance) for m, inner in shape.members.items() if chance.random() < 0.8}
        return {m: None if chance.random() < 0.03 else value for m, value in drawn.items()}
    if shape.type_name == "list" and drawn < 0.8:
        return [_mixed(shape.member, path + (ELEMENT,), chance) for _ in range(chance.randint(0, 3))]
    return chance.choice(values(shape, path)) if drawn < 0.4 else _valid("", shape, path, ())


def _shown(value):
    text = json.dumps(value)
    return text if len(text) < 100 else f"{text[:60]}... of {len(value)}"


# What the model makes of a request


class WrongType(Exception):
    """A JSON type that can't be read: nothing else counts then."""


@dataclass(frozen=True)
class Finding:
    """A broken constraint."""

    path: tuple
    rule: str
    text: str


def judge(name, body):
    """The constraints that a request breaks.

    Raises WrongType when it has a member of another JSON type. Lists of a wrong length are not looked into.
    """
    shape = service_model.operation(name).input_shape
    return list(_judge(name, shape, body, (), "")) if shape else []


def _judge(name, shape, value, path, at):
    look = {"structure": _judge_structure, "list": _judge_list, "string": _judge_text, "integer": _judge_integer}
    yield from look.get(shape.type_name, _judge_plain)(name, shape, value, path, at)


def _judge_structure(name, shape, value, path, at):
    _check_type(isinstance(value, dict))
    for member, inner in shape.members.items():
        there, here = f"{at}.{member}".lstrip("."), path + (member,)
        if value.get(member) is not None:
            yield from _judge(name, inner, value[member], here, there)
        elif _is_required(name, shape, path, member):
            yield _finding(here, "required", None, there, "not be null")


def _judge_list(name, shape, value, path, at):
    _check_type(isinstance(value, list))
    wrong = list(_judge_length(shape, value, path, at))
    yield from wrong
    for n, element in enumerate([] if wrong else value, 1):
        there, here = f"{at}.{n}.member", path + (ELEMENT,)
        if element is None:
            yield _finding(here, "required", None, there, "not be null")
        else:
            yield from _judge(name, shape.member, element, here, there)


def _judge_text(_, shape, value, path, at):
    _check_type(isinstance(value, str))
    yield from _judge_length(shape, value, path, at)
    pattern, words = shape.metadata.get("pattern"), shape.metadata.get("enum")
    if pattern and not PATTERNS[pattern].accepts(value):
        yield _finding(path, "pattern", value, at, f"satisfy regular expression pattern: {pattern}")
    if words and value not in words:
        yield _finding(path, "enum", value, at, f"satisfy enum value set: [{', '.join(words)}]")


def _judge_length(shape, value, path, at):
    low, high = _low(shape), shape.metadata.get("max", math.inf)
    if len(value) < low:
        yield _finding(path, "min", value, at, f"have length greater than or equal to {low}")
    if len(value) > high:
        yield _finding(path, "max", value, at, f"have length less than or equal to {high}")


def _judge_integer(_, shape, value, path, at):
    _check_type(isinstance(value, int) and not isinstance(value, bool) and -2**63 <= value < 2**63)
    low, high = shape.metadata.get("min", -math.inf), shape.metadata.get("max", math.inf)
    if value < low:
        yield _finding(path, "min", str(value), at, f"have value greater than or equal to {low}")
    if value > high:
        yield _finding(path, "max", str(value), at, f"have value less than or equal to {high}")


def _judge_plain(_, shape, value, path, at):
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    is_written = isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?(e\d+)?", value) is not None
    is_right = {"boolean": isinstance(value, bool), "float": is_number, "timestamp": is_number or is_written}
    _check_type(is_right[shape.type_name])
    return ()


def _check_type(is_right):
    if not is_right:
        raise WrongType


def _finding(path, rule, value, at, must):
    # How a list is written out is not settled; a text is shown as it was sent.
    if isinstance(value, str):
        start = f"Value '{value[:SHOWN_CHARACTERS_MAX]}{'…' if len(value) > SHOWN_CHARACTERS_MAX else ''}'"
    else:
        start = "" if isinstance(value, list) else "Value null"
    return Finding(path, rule, f"{start} at '{at}' failed to satisfy constraint: Member must {must}")


# What has to come back


def complaint(name, body, answer):
    """What is wrong with the answer to a request, in words; None when it is right."""
    if answer.status >= 500:
        return f"{answer.status} {answer.code}"
    try:
        findings = judge(name, body)
    except WrongType:
        expected = "SerializationException"
        return _unless((answer.status, answer.code) == (400, expected), expected, answer)
    if findings:
        return _unless(_tells(answer, findings), " and ".join(f.text for f in findings), answer)
    if answer.status == 200:
        return "; ".join(service_model.output_faults(name, answer.body)) or None
    is_modelled = service_model.errors(name).get(answer.code) == answer.status
    is_whole = "failed to satisfy constraint" not in answer.message
    return _unless(is_modelled and is_whole, "no constraint failure", answer)


def _tells(answer, findings):
    """Whether it names every broken constraint and no other."""
    head = f"{len(findings)} validation error{'s' if len(findings) > 1 else ''} detected: "
    if (answer.status, answer.code) != (400, "InvalidInputException") or not answer.message.startswith(head):
        return False
    told = f"{answer.message}; "
    is_all = told.count(" failed to satisfy constraint: ") == len(findings)
    return is_all and all(f"{finding.text}; " in told for finding in findings)


def _unless(is_right, expected, answer):
    if is_right:
        return None
    got = f"{answer.status} {answer.body.decode(errors='replace')}"
    return f"expected {_abridged(expected)}\n           got {_abridged(got)}"


def _abridged(text):
    return re.sub(r"(\\\\.|\\\\u....|.)\1{20,}", r"\1\1...", repr(text))[:600]
