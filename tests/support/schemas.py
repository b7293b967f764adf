"""Avro schemas from a short form, and the ones that several suites use."""

import json

ITEMS = "ITEM_ID:string PRICE:float CATEGORY_L1:string:categorical"
ITEMS_NULLABLE = "ITEM_ID:string PRICE:float? GENRES:string?:categorical DESCRIPTION:string?:textual"
USERS = "USER_ID:string AGE:int GENDER:string?:categorical"
INTERACTIONS = "USER_ID:string ITEM_ID:string EVENT_TYPE:string TIMESTAMP:long"
EVENTS = ("USER_ID:string ITEM_ID:string EVENT_TYPE:string EVENT_VALUE:float? NUM_RATINGS:int "
          "DEVICE:string?:categorical TIMESTAMP:long IMPRESSION:string? RECOMMENDATION_ID:string?")
ACTIONS = "ACTION_ID:string VALUE:long? KIND:string:categorical"
ACTION_INTERACTIONS = ("USER_ID:string ACTION_ID:string EVENT_TYPE:string TIMESTAMP:long DEVICE:string?:categorical "
                       "IMPRESSION:string? RECOMMENDATION_ID:string?")
NAMES = {"INTERACTIONS": "Interactions", "ITEMS": "Items", "USERS": "Users", "ACTIONS": "Actions",
         "ACTION_INTERACTIONS": "ActionInteractions"}


def avro(dataset_type, fields):
    """`PRICE:float?:categorical` is a nullable categorical float; the string that CreateSchema takes."""
    return json.dumps({
        "type": "record",
        "name": NAMES[dataset_type],
        "namespace": "com.amazonaws.personalize.schema",
        "fields": [_field(*text.split(":")) for text in fields.split()],
        "version": "1.0",
    })


def column_names(fields):
    return [text.split(":")[0] for text in fields.split()]


def _field(name, kind, attribute=None):
    field = {"name": name, "type": ["null", kind[:-1]] if kind.endswith("?") else kind}
    return {**field, attribute: True} if attribute else field
