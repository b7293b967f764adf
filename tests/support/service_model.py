"""The service's own description, as botocore brings it: operations, inputs, and whether an answer is one of theirs."""

import functools
import json
import re
from decimal import Decimal

import botocore.loaders
from botocore.model import ServiceModel

# The operations that have to be there: all of the data side. Every other one is known by name and not offered.
DATA_SIDE = frozenset("""
    CreateSchema DescribeSchema ListSchemas DeleteSchema
    CreateDatasetGroup DescribeDatasetGroup ListDatasetGroups DeleteDatasetGroup
    CreateDataset DescribeDataset ListDatasets UpdateDataset DeleteDataset
    CreateDatasetImportJob DescribeDatasetImportJob ListDatasetImportJobs
    CreateDatasetExportJob DescribeDatasetExportJob ListDatasetExportJobs
    CreateDataDeletionJob DescribeDataDeletionJob ListDataDeletionJobs
    CreateEventTracker DescribeEventTracker ListEventTrackers DeleteEventTracker
    CreateMetricAttribution DescribeMetricAttribution ListMetricAttributions ListMetricAttributionMetrics
    UpdateMetricAttribution DeleteMetricAttribution
    TagResource UntagResource ListTagsForResource
    PutEvents PutItems PutUsers PutActions PutActionInteractions
""".split())

_VERSIONS = {
    "personalize": "2018-05-22", "personalize-events": "2018-03-22", "personalize-runtime": "2018-05-22",
}


@functools.cache
def _service(name):
    document = botocore.loaders.create_loader().load_service_model(name, "service-2", _VERSIONS[name])
    return ServiceModel(document, name)


def control_names():
    return list(_service("personalize").operation_names)


def events_names():
    return list(_service("personalize-events").operation_names)


def runtime_paths():
    """The operations of the service's third part, which has no data side, and their paths."""
    runtime = _service("personalize-runtime")
    return {name: runtime.operation_model(name).http["requestUri"] for name in runtime.operation_names}


@functools.cache
def operation(name):
    for service in _VERSIONS:
        if name in _service(service).operation_names:
            return _service(service).operation_model(name)
    raise KeyError(name)


def path(name):
    """The path of an operation of the events service; None for the control plane."""
    return operation(name).http["requestUri"] if name in events_names() else None


def errors(name):
    """The codes that an operation may answer with, and the HTTP status of each."""
    return {shape.name: (shape.metadata.get("error") or {}).get("httpStatusCode", 400)
            for shape in operation(name).error_shapes}


def paged_lists():
    """The operations of the data side that answer in pages."""
    return sorted(name for name in DATA_SIDE if "nextToken" in operation(name).input_shape.members)


def listed_member(name):
    """The member of a list's answer that holds the rows."""
    shapes = operation(name).output_shape.members.items()
    return next(member for member, shape in shapes if shape.type_name == "list")


def check_output(name, body):
    """Asserts that the bytes of a success answer are what the model says: no member more, each of its type."""
    found = output_faults(name, body)
    assert not found, f"{name} answered {body!r}: {found}"


def output_faults(name, body):
    shape = operation(name).output_shape
    if shape is None or name in events_names():
        return [] if body == b"" else ["the body has to be empty"]
    return list(_faults(shape, json.loads(body, parse_float=Decimal), "answer"))


def _faults(shape, value, at):
    if value is None:
        yield f"{at} is null"
        return
    is_right = _TYPES[shape.type_name]
    if not is_right(value):
        yield f"{at} is no {shape.type_name}: {value!r}"
    elif shape.type_name == "structure":
        yield from (f"{at}.{name} is not in {shape.name}" for name in value.keys() - shape.members.keys())
        yield from (f"{at}.{name} is missing" for name in set(shape.required_members) - value.keys())
        for name in value.keys() & shape.members.keys():
            yield from _faults(shape.members[name], value[name], f"{at}.{name}")
    elif shape.type_name == "list":
        for n, element in enumerate(value):
            yield from _faults(shape.member, element, f"{at}[{n}]")
    elif value not in shape.metadata.get("enum", [value]):
        yield f"{at} is none of {shape.metadata['enum']}: {value!r}"


def _is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value):
    return _is_whole(value) or isinstance(value, Decimal)


# Some clients read no exponents, and none needs more than milliseconds.
def _is_timestamp(value):
    return _is_number(value) and re.fullmatch(r"\d{10}(\.\d{1,3})?", str(value)) is not None


_TYPES = {
    "structure": lambda value: isinstance(value, dict),
    "list": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": _is_whole,
    "long": _is_whole,
    "float": _is_number,
    "double": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "timestamp": _is_timestamp,
}
